//! Names of kernel addresses, from `/proc/kallsyms`.

/// The functions of the kernel and its modules by address.
#[derive(Debug, Default)]
pub(super) struct Kernel {
    /// Address, and where in `names` the name begins; sorted.
    entries: Vec<(u64, u32)>,
    /// The names, each ended by a newline.
    names: String,
}

impl Kernel {
    /// Reads the running kernel's symbols; knows none if it does not tell.
    pub(super) fn read() -> Kernel {
        Kernel::parse(&std::fs::read_to_string("/proc/kallsyms").unwrap_or_default())
    }

    /// Reads lines `address type name [module]`; types `t`, `T`, `w` and `W` are code.
    fn parse(text: &str) -> Kernel {
        let mut kernel = Kernel::default();
        for line in text.lines() {
            let mut fields = line.split_ascii_whitespace();
            let (Some(addr), Some(kind), Some(name)) =
                (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            let (Ok(addr), Ok(at)) = (
                u64::from_str_radix(addr, 16),
                u32::try_from(kernel.names.len()),
            ) else {
                continue;
            };
            // Without the right to see them all addresses are 0.
            if addr != 0 && matches!(kind, "t" | "T" | "w" | "W") {
                kernel.entries.push((addr, at));
                kernel.names.push_str(name);
                kernel.names.push('\n');
            }
        }
        kernel.entries.sort_by_key(|e| e.0);
        kernel.entries.shrink_to_fit();
        kernel
    }

    /// The function that `addr` is in, and how far in.
    pub(super) fn find(&self, addr: u64) -> Option<(&str, u64)> {
        let after = self.entries.partition_point(|e| e.0 <= addr);
        let (start, at) = *self.entries.get(after.checked_sub(1)?)?;
        let name = self
            .names
            .get(usize::try_from(at).ok()?..)?
            .lines()
            .next()?;
        Some((name, addr - start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let kernel = Kernel::parse(
            "ffff0010 T second\nffff0000 t first\nffff0008 d data\n0 T hidden\nffff0020 t third\t[module]\nx\n",
        );
        assert_eq!(kernel.find(0xffff_0009), Some(("first", 9)));
        assert_eq!(kernel.find(0xffff_0010), Some(("second", 0)));
        assert_eq!(kernel.find(0xffff_0021), Some(("third", 1)));
        assert_eq!(kernel.find(0xfff), None);
        assert_eq!(Kernel::default().find(1), None);
    }
}
