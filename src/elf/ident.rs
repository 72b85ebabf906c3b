//! What names a build of a file: build id and separate debug file.

use goblin::elf::section_header::SHT_NOTE;

use crate::elf::Image;
use crate::elf::image::c_str;

/// Note type of a build id (`include/uapi/linux/elf.h` has it as GNU note 3).
const NT_GNU_BUILD_ID: u64 = 3;

impl<'a> Image<'a> {
    /// The build id: the descriptor of the GNU note of type 3, in `.note.gnu.build-id` or any other note section.
    pub fn build_id(&self) -> Option<&'a [u8]> {
        let named = self.section(".note.gnu.build-id");
        let notes = self
            .sections()
            .filter(|s| s.kind == SHT_NOTE && s.align <= 4);
        named.into_iter().chain(notes).find_map(|section| {
            let bytes = section.bytes?;
            let word = |at: usize| Some(self.number(bytes.get(at..at + 4)?));
            let fits = word(0)? == 4 && word(8)? == NT_GNU_BUILD_ID;
            let size = usize::try_from(word(4)?).ok()?;
            if !fits || bytes.get(12..16) != Some(b"GNU\0") {
                return None;
            }
            bytes.get(16..)?.get(..size)
        })
    }

    /// Name and CRC of the separate debug file that `.gnu_debuglink` names.
    ///
    /// The section is a NUL-terminated name, padded to 4 bytes, and a 4-byte CRC.
    pub fn debuglink(&self) -> Option<(&'a str, u32)> {
        let bytes = self.section(".gnu_debuglink")?.bytes?;
        let name = c_str(bytes)?;
        let at = (name.len() + 1).next_multiple_of(4);
        let crc = u32::try_from(self.number(bytes.get(at..at + 4)?)).ok()?;
        Some((name, crc))
    }
}
