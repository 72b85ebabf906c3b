//! Captures in the format of Bitcoin Core's `-capturemessages`, which its `message-capture-parser.py` reads.
//!
//! A file is a row of records, all numbers little-endian:
//!
//! ```text
//! ┌────────────┬──────────────────────┬─────────┬─────────┐
//! │ time µs u64│ type, 12 bytes, NULs │ size u32│ payload │
//! └────────────┴──────────────────────┴─────────┴─────────┘
//! ```
//!
//! The direction is not in the record: it is the file's name, `msgs_recv.dat` or `msgs_sent.dat`, in a folder for each
//! peer. Source: Bitcoin Core `net.cpp: CaptureMessageToFile`.

use std::{
    collections::HashMap,
    fs::{File, create_dir_all},
    io,
    path::{Path, PathBuf},
};

use super::{
    message::Message,
    records::{Records, write_parts},
};

/// Bytes of a message type, NULs after it.
pub const TYPE_BYTES: usize = 12;

/// Where messages go.
#[derive(Debug)]
pub struct Writer {
    to: To,
}

#[derive(Debug)]
enum To {
    /// One file for all, or for one direction.
    File {
        file: Records,
        path: PathBuf,
        only: Option<bool>,
    },
    /// A folder for each peer, as Bitcoin Core lays them out.
    Folder {
        root: PathBuf,
        open: HashMap<PathBuf, Records>,
    },
}

/// Files of a folder kept open at once; the limit of a process is 1,024 by custom.
const OPEN_FILES: usize = 256;

impl Writer {
    /// Begins a capture at `path`.
    ///
    /// A path that is a folder, or that ends in `/`, gets Bitcoin Core's layout: `ADDRESS_PORT/msgs_recv.dat` and
    /// `msgs_sent.dat`, appended to. Any other is one file, made anew. Since the parser takes the direction from the
    /// file's name, a name with `recv` holds only what was received, one with `sent` only what was sent, others both.
    ///
    /// # Errors
    /// What creating the file or folder answered.
    pub fn create(path: &Path) -> io::Result<Self> {
        let folder = path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/");
        let to = if folder {
            create_dir_all(path)?;
            To::Folder {
                root: path.to_owned(),
                open: HashMap::new(),
            }
        } else {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let only = match (stem.contains("recv"), stem.contains("sent")) {
                (true, _) => Some(true),
                (false, true) => Some(false),
                (false, false) => None,
            };
            To::File {
                file: Records::new(File::create(path)?)?,
                path: path.to_owned(),
                only,
            }
        };
        Ok(Writer { to })
    }

    /// Appends a message. After an error what was written before it can still be read: a record is written whole or not at all.
    ///
    /// # Errors
    /// The path and what writing to it answered.
    pub fn write(&mut self, message: &Message<'_>) -> Result<(), WriteError> {
        let (file, path) = match &mut self.to {
            To::File { only, .. } if only.is_some_and(|inbound| inbound != message.inbound) => {
                return Ok(());
            }
            To::File { file, path, .. } => (file, path.clone()),
            To::Folder { root, open } => {
                let path = peer_file(root, message);
                if !open.contains_key(&path) {
                    if open.len() >= OPEN_FILES {
                        open.clear();
                    }
                    let file = append(&path).map_err(|source| WriteError::new(&path, source))?;
                    open.insert(path.clone(), file);
                }
                let Some(file) = open.get_mut(&path) else {
                    unreachable!("just inserted")
                };
                (file, path)
            }
        };
        head(message)
            .and_then(|head| write_parts(file, &[&head, message.payload]))
            .map_err(|source| WriteError::new(&path, source))
    }
}

/// A capture could not be written.
#[derive(Debug)]
pub struct WriteError {
    /// The file.
    pub path: PathBuf,
    /// What the system answered.
    pub source: io::Error,
}

impl WriteError {
    fn new(path: &Path, source: io::Error) -> Self {
        WriteError {
            path: path.to_owned(),
            source,
        }
    }
}

impl std::fmt::Display for WriteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "write capture `{}`: {}",
            self.path.display(),
            self.source
        )
    }
}

impl std::error::Error for WriteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// `ROOT/1.2.3.4_8333/msgs_recv.dat`. A peer's name comes from the network: what could leave the folder is replaced.
fn peer_file(root: &Path, message: &Message<'_>) -> PathBuf {
    let safe: String = message
        .addr
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '[' | ']') {
                c
            } else {
                '_'
            }
        })
        .collect();
    let folder = match safe.trim_matches('.') {
        "" => "unknown",
        name => name,
    };
    let name = if message.inbound {
        "msgs_recv.dat"
    } else {
        "msgs_sent.dat"
    };
    root.join(folder).join(name)
}

fn append(path: &Path) -> io::Result<Records> {
    if let Some(folder) = path.parent() {
        create_dir_all(folder)?;
    }
    Records::new(File::options().append(true).create(true).open(path)?)
}

/// A record without its payload.
fn head(message: &Message<'_>) -> io::Result<Vec<u8>> {
    let size = u32::try_from(message.payload.len()).map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            "payload longer than the format's 32-bit size",
        )
    })?;
    let mut head = Vec::with_capacity(8 + TYPE_BYTES + 4);
    head.extend((message.unix_ns / 1_000).to_le_bytes());
    head.extend(type_bytes(&message.msg_type));
    head.extend(size.to_le_bytes());
    Ok(head)
}

/// The type as it travels: cut at 12 bytes, NULs after it.
pub(super) fn type_bytes(msg_type: &str) -> [u8; TYPE_BYTES] {
    let mut bytes = [0; TYPE_BYTES];
    for (to, from) in bytes.iter_mut().zip(msg_type.bytes()) {
        *to = from;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(inbound: bool, addr: &str) -> Message<'static> {
        Message {
            unix_ns: 1_700_000_000_123_456_789,
            peer_id: 3,
            addr: addr.to_owned(),
            conn_type: "manual".to_owned(),
            msg_type: "ping".to_owned(),
            inbound,
            payload: &[1, 2, 3, 4, 5, 6, 7, 8],
        }
    }

    const RECORD: &[u8] = b"ping\0\0\0\0\0\0\0\0\x08\0\0\0\x01\x02\x03\x04\x05\x06\x07\x08";

    #[test]
    fn a_folder_is_laid_out_by_peer_and_direction() {
        let root = std::env::temp_dir().join(format!("baretrace-capture-{}/", std::process::id()));
        let mut writer = Writer::create(&root.join("")).unwrap();
        writer.write(&message(true, "1.2.3.4:8333")).unwrap();
        writer.write(&message(true, "1.2.3.4:8333")).unwrap();
        writer.write(&message(false, "../../etc/x")).unwrap();
        writer.write(&message(false, "..")).unwrap();
        let recv = std::fs::read(root.join("1.2.3.4_8333/msgs_recv.dat")).unwrap();
        let time = 1_700_000_000_123_456u64.to_le_bytes();
        assert_eq!(recv[..8], time);
        assert_eq!(recv[8..32], *RECORD);
        assert_eq!(recv.len(), 64);
        assert!(root.join("_.._etc_x/msgs_sent.dat").exists());
        assert!(root.join("unknown/msgs_sent.dat").exists());
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn one_file_takes_the_direction_its_name_says() {
        let dir =
            std::env::temp_dir().join(format!("baretrace-capture-file-{}", std::process::id()));
        create_dir_all(&dir).unwrap();
        for (name, want) in [("all.dat", 64), ("recv.dat", 32), ("msgs_sent.dat", 32)] {
            let path = dir.join(name);
            let mut writer = Writer::create(&path).unwrap();
            writer.write(&message(true, "a")).unwrap();
            writer.write(&message(false, "a")).unwrap();
            assert_eq!(std::fs::read(&path).unwrap().len(), want, "{name}");
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_full_disk_is_said_with_the_path() {
        let mut writer = Writer::create(Path::new("/dev/full")).unwrap();
        let error = writer.write(&message(true, "a")).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("write capture `/dev/full`: "), "{text}");
    }
}
