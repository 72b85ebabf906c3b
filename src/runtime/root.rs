//! Paths as another process sees them: through `/proc/PID/root`, so that a process in a container works.

use std::{
    ffi::OsString,
    fs, io,
    path::{Component, Path, PathBuf},
};

/// Most symbolic links followed, as the kernel has it (`MAXSYMLINKS`).
const MAX_LINKS: u32 = 40;

/// The file that `path` names for process `pid`, as this process can open it.
///
/// Links are followed by hand, because an absolute link under `/proc/PID/root` would lead back to *our* root. A relative
/// `path` starts at the process's working directory.
///
/// # Errors
/// What the file system said; `ELOOP` for links in a circle.
pub fn path_in(pid: u32, path: &Path) -> io::Result<PathBuf> {
    let root = PathBuf::from(format!("/proc/{pid}/root"));
    if path.is_absolute() {
        return resolve(&root, path);
    }
    let cwd = fs::read_link(format!("/proc/{pid}/cwd"))?;
    resolve(&root, &cwd.join(path))
}

/// Follows `path` with `root` for its `/`; `..` does not lead out of it.
fn resolve(root: &Path, path: &Path) -> io::Result<PathBuf> {
    let mut todo: Vec<OsString> = parts(path);
    let mut done = PathBuf::new();
    let mut links = 0;
    while let Some(part) = todo.pop() {
        if part == ".." {
            done.pop();
            continue;
        }
        let here = done.join(&part);
        let full = root.join(&here);
        if !fs::symlink_metadata(&full)?.file_type().is_symlink() {
            done = here;
            continue;
        }
        links += 1;
        if links > MAX_LINKS {
            return Err(io::Error::from_raw_os_error(libc::ELOOP));
        }
        let target = fs::read_link(&full)?;
        if target.is_absolute() {
            done = PathBuf::new();
        }
        todo.extend(parts(&target));
    }
    Ok(root.join(done))
}

/// The components of a path, last first; `/` and `.` left out.
fn parts(path: &Path) -> Vec<OsString> {
    let part = |component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    };
    path.components().rev().filter_map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_stay_inside_the_root() {
        let root = std::env::temp_dir().join(format!("baretrace-root-{}", std::process::id()));
        fs::create_dir_all(root.join("usr/bin")).unwrap();
        fs::write(root.join("usr/bin/tool"), "x").unwrap();
        symlink("/usr/bin", root.join("bin")).unwrap();
        symlink("../../../usr/bin/tool", root.join("usr/bin/up")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let ok = |path: &str| resolve(&root, Path::new(path)).unwrap();
        assert_eq!(ok("/bin/tool"), root.join("usr/bin/tool"));
        assert_eq!(ok("/bin/up"), root.join("usr/bin/tool"));
        assert_eq!(ok("/../.././usr/bin/tool"), root.join("usr/bin/tool"));
        let error = |path: &str| resolve(&root, Path::new(path)).unwrap_err();
        assert_eq!(error("/loop").raw_os_error(), Some(libc::ELOOP));
        assert_eq!(error("/etc/none").raw_os_error(), Some(libc::ENOENT));
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn own_files_are_found_through_proc() {
        let exe = std::env::current_exe().unwrap();
        let seen = path_in(std::process::id(), &exe).unwrap();
        assert_eq!(
            fs::read(&seen).unwrap().len(),
            fs::read(&exe).unwrap().len()
        );
    }
}
