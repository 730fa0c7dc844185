//! From a document to what is done in it.

/// Where a command is typed, and at which line of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) on_server: bool,
    line: usize,
}

impl Place {
    /// The client's machine, nowhere in a document.
    pub(super) fn client() -> Self {
        Self { on_server: false, line: 0 }
    }

    /// The server's machine.
    pub(super) fn server() -> Self {
        Self { on_server: true, line: 0 }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.line)
    }
}

/// One command of a document.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) place: Place,
    pub(super) command: String,
    /// What is typed into the interactive shell that the command opens: each with what it is typed behind.
    pub(super) typed: Vec<(String, String)>,
    /// The output, in an interactive shell with the prompts and what was typed behind them.
    pub(super) output: Vec<String>,
}

/// The one question that documents answer.
const QUESTION: &str = "yes / no / paste the fingerprint: ";

const FENCE: &str = "```console";

/// All commands of a document, in its order.
pub(super) fn steps(document: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut in_block = false;
    for (number, line) in (1..).zip(document.lines()) {
        if !in_block {
            in_block = line == FENCE;
        } else if line.starts_with("```") {
            in_block = false;
        } else if let Some((on_server, command)) = command(line) {
            let place = Place { on_server, line: number };
            steps.push(Step { place, command: command.to_owned(), typed: vec![], output: vec![] });
        } else {
            let step = steps.last_mut().unwrap_or_else(|| panic!("line {number}: output of no command"));
            step.typed.extend(typed(line));
            step.output.push(line.to_owned());
        }
    }
    steps
}

fn command(line: &str) -> Option<(bool, &str)> {
    line.strip_prefix("$ ")
        .map(|command| (false, command))
        .or_else(|| line.strip_prefix("server$ ").map(|command| (true, command)))
}

/// What is typed behind a prompt of the shell or behind a question, and that prompt.
fn typed(line: &str) -> Option<(String, String)> {
    let end = if line.starts_with("fulmar> ") || line.starts_with("fulmar ") && line.contains(":/") {
        line.find("> ")? + 2
    } else if line.starts_with(QUESTION) {
        QUESTION.len()
    } else {
        return None;
    };
    Some((line[..end].to_owned(), line[end..].to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_taken_apart() {
        let text =
            "Text\n```console\nserver$ a b\nout\n$ fulmar\nfulmar> connme h\nfulmar h:/d> ls\nx\n```\n$ no\n";
        let found = steps(text);
        assert_eq!(found.len(), 2);
        assert!(found[0].place.on_server && found[0].command == "a b" && found[0].output == ["out"]);
        let typed: Vec<_> = found[1].typed.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(typed, [("fulmar> ", "connme h"), ("fulmar h:/d> ", "ls")]);
        assert_eq!(found[1].output, ["fulmar> connme h", "fulmar h:/d> ls", "x"]);
    }

    #[test]
    fn other_blocks_are_only_read() {
        assert!(steps("```toml\n$ a\n```\n    $ b\n").is_empty());
    }
}
