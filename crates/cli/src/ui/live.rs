//! A block of lines at the bottom of the terminal that is drawn again and again; what is told stays above it.

use std::io::Write;

use crossterm::cursor::MoveUp;
use crossterm::queue;
use crossterm::terminal::{Clear, ClearType};

/// Where nobody knows how wide it is.
const WIDTH: usize = 80;

/// The block as it was drawn last.
#[derive(Debug, Default)]
pub(crate) struct Block {
    drawn: u16,
}

impl Block {
    /// Prints a line that stays, above the block.
    pub(crate) fn say(&mut self, line: &str) {
        self.erase();
        println!("{line}");
    }

    /// Draws the block anew. Lines longer than the terminal is wide are wrapped here, so that the rows can be counted.
    pub(crate) fn draw(&mut self, text: &str) {
        self.erase();
        // A terminal that has no columns does not know how many it has.
        let known = crossterm::terminal::size().ok().map(|(columns, _)| usize::from(columns));
        let width = known.filter(|columns| *columns > 0).unwrap_or(WIDTH);
        for row in text.lines().flat_map(|line| wrap(line, width)) {
            println!("{row}");
            self.drawn = self.drawn.saturating_add(1);
        }
    }

    /// Takes the block away.
    pub(crate) fn erase(&mut self) {
        let mut out = std::io::stdout();
        if self.drawn > 0 {
            // A terminal that is gone needs no drawing.
            let _ = queue!(out, MoveUp(self.drawn), Clear(ClearType::FromCursorDown));
        }
        let _ = out.flush();
        self.drawn = 0;
    }
}

/// The line in rows of at most `width` visible characters, broken at spaces where there are any; rows after the first are
/// indented. Escape sequences take no room, and are closed at the end of the line only.
fn wrap(line: &str, width: usize) -> Vec<String> {
    const INDENT: &str = "             ";
    let indent = if width > 3 * INDENT.len() { INDENT } else { "" };
    let mut rows = vec![String::new()];
    let mut room = width;
    for word in line.split_inclusive(' ') {
        let long = visible(word.trim_end_matches(' '));
        if long > room && long <= width - indent.len() && room < width {
            rows.push(indent.to_owned());
            room = width - indent.len();
        }
        let mut in_escape = false;
        for character in word.chars() {
            let row = rows.last_mut().expect("there is a first row");
            if character == '\u{1b}' {
                in_escape = true;
            } else if in_escape {
                in_escape = !character.is_ascii_alphabetic();
            } else if room > 0 {
                room -= 1;
            } else if character == ' ' {
                continue;
            } else {
                rows.push(format!("{indent}{character}"));
                room = width - indent.len() - 1;
                continue;
            }
            row.push(character);
        }
    }
    rows
}

/// How many characters are seen.
fn visible(text: &str) -> usize {
    let mut in_escape = false;
    text.chars()
        .filter(|character| {
            let was = in_escape || *character == '\u{1b}';
            in_escape = *character == '\u{1b}' || (in_escape && !character.is_ascii_alphabetic());
            !was
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn what_is_too_long_goes_on_in_the_next_row() {
        assert_eq!(wrap("✔ ok", 80), ["✔ ok"]);
        assert_eq!(wrap("abcdef", 4), ["abcd", "ef"]);
        assert_eq!(wrap("ab cd ef", 6), ["ab cd ", "ef"]);
        assert_eq!(wrap("\u{1b}[32mab cd\u{1b}[0m", 5), ["\u{1b}[32mab cd\u{1b}[0m"]);
        let long = "waiting      the first of many words that do not fit";
        let rows = wrap(long, 40);
        assert_eq!(rows, ["waiting      the first of many words ", "             that do not fit"]);
    }
}
