//! What a terminal shows of the bytes that it is sent.

use unicode_width::UnicodeWidthChar as _;

/// A terminal of unlimited height: everything that ever was on it can be looked at.
#[derive(Debug)]
pub(crate) struct Screen {
    columns: usize,
    lines: Vec<Line>,
    row: usize,
    column: usize,
    /// What was written beyond the edge and went on in the next line: the text up to the edge.
    pub(crate) wrapped: Vec<String>,
}

/// The characters of a line. One that is two columns wide has nothing in the second.
type Line = Vec<Option<char>>;

impl Screen {
    /// What `text` looks like on a terminal of so many columns. Anything that the bars have no need for is a failure.
    #[track_caller]
    pub(crate) fn of(text: &str, columns: usize) -> Self {
        let mut screen = Self { columns, lines: vec![vec![]], row: 0, column: 0, wrapped: Vec::new() };
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '\r' => screen.column = 0,
                '\n' => screen.go_down(),
                '\u{1b}' => screen.control(&mut chars),
                c if c.is_control() => panic!("{c:?} in {text:?}"),
                c => screen.put(c),
            }
        }
        screen
    }

    fn control(&mut self, chars: &mut std::str::Chars<'_>) {
        assert_eq!(chars.next(), Some('['), "a control sequence");
        let mut number = String::new();
        let end = loop {
            match chars.next() {
                Some(c) if c.is_ascii_digit() => number.push(c),
                end => break end,
            }
        };
        match (number.as_str(), end) {
            (number, Some('A')) => {
                self.row = self.row.saturating_sub(number.parse().unwrap_or(1));
            }
            ("0", Some('J')) => {
                self.lines[self.row].truncate(self.column);
                self.lines.truncate(self.row + 1);
            }
            ("2", Some('K')) => self.lines[self.row].clear(),
            // Colours take no room.
            (_, Some('m')) => {}
            other => panic!("an unexpected control sequence: {other:?}"),
        }
    }

    fn go_down(&mut self) {
        self.row += 1;
        if self.row == self.lines.len() {
            self.lines.push(Vec::new());
        }
    }

    fn put(&mut self, c: char) {
        let width = c.width().unwrap_or(0);
        if self.column + width > self.columns {
            self.wrapped.push(text_of(&self.lines[self.row]));
            self.go_down();
            self.column = 0;
        }
        let line = &mut self.lines[self.row];
        for index in 0..width {
            if line.len() <= self.column {
                line.resize(self.column + 1, Some(' '));
            }
            line[self.column] = (index == 0).then_some(c);
            self.column += 1;
        }
    }

    /// What is there now, without blank lines and without blanks at the ends.
    pub(crate) fn shown(&self) -> Vec<String> {
        self.lines.iter().map(|line| text_of(line)).filter(|line| !line.is_empty()).collect()
    }
}

fn text_of(line: &[Option<char>]) -> String {
    line.iter().flatten().collect::<String>().trim_end().to_owned()
}
