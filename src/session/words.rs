//! Splits a command line (`-c CMD`) into words as a shell does, without expanding anything.

use std::fmt;

/// Why a command line has no words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordsError {
    /// A quotation mark is not closed.
    OpenQuote(char),
    /// There is no word at all.
    Empty,
}

impl fmt::Display for WordsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WordsError::OpenQuote(mark) => write!(f, "a {mark} is not closed"),
            WordsError::Empty => write!(f, "there is no word in it"),
        }
    }
}

impl std::error::Error for WordsError {}

/// The words of `text`. Single quotes keep everything, double quotes all but `\"` and `\\`, a backslash the next character.
///
/// # Errors
/// An open quotation mark, or no word.
pub fn split(text: &str) -> Result<Vec<String>, WordsError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                let into = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('\'') => break,
                        Some(c) => into.push(c),
                        None => return Err(WordsError::OpenQuote('\'')),
                    }
                }
            }
            '"' => {
                let into = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('"') => break,
                        Some('\\') => match chars.next() {
                            Some(c @ ('"' | '\\')) => into.push(c),
                            Some(c) => into.extend(['\\', c]),
                            None => return Err(WordsError::OpenQuote('"')),
                        },
                        Some(c) => into.push(c),
                        None => return Err(WordsError::OpenQuote('"')),
                    }
                }
            }
            '\\' => word.get_or_insert_default().extend(chars.next()),
            c if c.is_whitespace() => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    if words.is_empty() {
        return Err(WordsError::Empty);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_as_a_shell_sees_them() {
        for (text, want) in [
            ("sleep 5", &["sleep", "5"][..]),
            ("  sh  -c 'echo  $HOME'\t", &["sh", "-c", "echo  $HOME"]),
            (r#"a "b \" c" d\ e"#, &["a", "b \" c", "d e"]),
            (r#"x'y'"z" '' "\n""#, &["xyz", "", "\\n"]),
        ] {
            assert_eq!(
                split(text).as_deref(),
                Ok(&want.iter().map(ToString::to_string).collect::<Vec<_>>()[..])
            );
        }
    }

    #[test]
    fn what_is_no_command_line() {
        assert_eq!(split(" "), Err(WordsError::Empty));
        assert_eq!(split("a 'b"), Err(WordsError::OpenQuote('\'')));
        assert_eq!(split("a \"b\\"), Err(WordsError::OpenQuote('"')));
    }
}
