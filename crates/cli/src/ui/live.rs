//! A block of lines at the bottom of the terminal that is drawn again and again; what is told stays above it.

use std::io::Write;

use crossterm::cursor::MoveUp;
use crossterm::queue;
use crossterm::terminal::{Clear, ClearType};

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

    /// Draws the block anew. Lines longer than the terminal is wide are cut, so that each takes one row.
    pub(crate) fn draw(&mut self, text: &str) {
        self.erase();
        let width = crossterm::terminal::size().map_or(80, |(columns, _)| usize::from(columns));
        for line in text.lines() {
            println!("{}", clip(line, width));
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

/// The first `width` visible characters; escape sequences take no room.
fn clip(line: &str, width: usize) -> String {
    let mut clipped = String::with_capacity(line.len());
    let (mut room, mut in_escape) = (width, false);
    for character in line.chars() {
        if character == '\u{1b}' {
            in_escape = true;
        } else if in_escape {
            in_escape = !character.is_ascii_alphabetic();
        } else if room == 0 {
            continue;
        } else {
            room -= 1;
        }
        clipped.push(character);
    }
    clipped
}

#[cfg(test)]
mod tests {
    use super::clip;

    #[test]
    fn colours_take_no_room_and_are_closed() {
        assert_eq!(clip("abcdef", 4), "abcd");
        assert_eq!(clip("\u{1b}[32mabcdef\u{1b}[0m", 4), "\u{1b}[32mabcd\u{1b}[0m");
        assert_eq!(clip("✔ ok", 80), "✔ ok");
    }
}
