//! Local time as `strftime(3)` formats it.
#![allow(unsafe_code)]

use std::ffi::CString;

/// Appends `seconds` since 1970, in local time, formatted by `format`; nothing if the format holds a NUL or the year is
/// out of range.
pub fn strftime(out: &mut Vec<u8>, format: &str, seconds: i64) {
    let Ok(format) = CString::new(format) else {
        return;
    };
    let time: libc::time_t = seconds;
    // SAFETY: `tm` is plain data for which zeros are valid; `localtime_r` reads `time` and writes `tm`, both live here.
    let tm = unsafe {
        let mut tm: libc::tm = std::mem::zeroed();
        if libc::localtime_r(&raw const time, &raw mut tm).is_null() {
            return;
        }
        tm
    };
    // strftime returns 0 both for "too small" and for an empty result, so one generous try is all there is.
    let mut buf = vec![0u8; 256 + 16 * format.as_bytes().len()];
    // SAFETY: `buf` is writable for the length given, `format` is NUL-terminated, `tm` was filled by `localtime_r`.
    let len = unsafe {
        libc::strftime(
            buf.as_mut_ptr().cast(),
            buf.len(),
            format.as_ptr(),
            &raw const tm,
        )
    };
    out.extend_from_slice(buf.get(..len).unwrap_or(&[]));
}

#[cfg(test)]
mod tests {
    #[test]
    fn percent_s_gives_the_seconds_back() {
        let mut out = Vec::new();
        super::strftime(&mut out, "%s|%%", 1_700_000_000);
        assert_eq!(out, b"1700000000|%");
        super::strftime(&mut out, "a\0b", 0);
        assert_eq!(out, b"1700000000|%");
    }
}
