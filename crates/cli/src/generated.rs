//! `completions` and `man`: what the definition of the command line gives by itself.

use std::{io, path::Path};

use clap::CommandFactory as _;
use clap_complete::Shell;
use clap_mangen::Man;
use fulmar_proto::text::Escaped;

use crate::{
    args::Cli,
    exit_code::ExitCode,
    output::{Failure, Printer, objects::Done, units},
};

/// What help shows at the end of `completions`.
pub(crate) const COMPLETIONS_EXAMPLES: &str = "Examples:
  fulmar completions bash > ~/.local/share/bash-completion/completions/fulmar
  fulmar completions zsh > ~/.zfunc/_fulmar
  fulmar completions fish > ~/.config/fish/completions/fulmar.fish";

/// What help shows at the end of `man`.
pub(crate) const MAN_EXAMPLES: &str = "Examples:
  fulmar man | man -l -
  fulmar man --dir ~/.local/share/man/man1";

/// `fulmar completions`.
pub(crate) fn completions(shell: Shell, printer: &Printer) -> Result<ExitCode, Failure> {
    printer.raw(&script(shell));
    ended(printer)
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "fulmar", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// `fulmar man`.
pub(crate) fn man(dir: Option<&Path>, printer: &Printer) -> Result<ExitCode, Failure> {
    let pages = pages(&Cli::command().disable_help_subcommand(true));
    let pages = pages.map_err(|error| Failure::local(Path::new("the manual page"), &error))?;
    let Some(dir) = dir else {
        printer.raw(pages.first().map_or("", |(_, page)| page));
        return ended(printer);
    };
    std::fs::create_dir_all(dir).map_err(|error| Failure::local(dir, &error))?;
    for (name, page) in &pages {
        let path = dir.join(name);
        std::fs::write(&path, page).map_err(|error| Failure::local(&path, &error))?;
    }
    let (count, shown) = (units::counted(pages.len() as u64, "page", "pages"), dir.to_string_lossy());
    printer.object(&Done { path: Some(&shown), files: Some(pages.len() as u64), ..Done::new("man") });
    printer.answer(format_args!("wrote {count} to {}", Escaped(&shown)));
    ended(printer)
}

/// The page of a command and those of the commands below it that are not hidden, with their files' names.
fn pages(command: &clap::Command) -> io::Result<Vec<(String, String)>> {
    let mut built = command.clone();
    // Commands know what they are called only once the one above them is built.
    built.build();
    let man = Man::new(built.clone());
    let mut page = Vec::new();
    man.render(&mut page)?;
    let mut all = vec![(man.get_filename(), with_sections(&String::from_utf8_lossy(&page)))];
    for below in built.get_subcommands().filter(|below| !below.is_hide_set()) {
        all.extend(pages(below)?);
    }
    Ok(all)
}

/// The page with what stands behind its options in sections of their own: a heading there is a line that ends in a colon.
fn with_sections(page: &str) -> String {
    let Some((before, extra)) = page.split_once(".SH EXTRA\n") else { return page.to_owned() };
    let mut text = before.to_owned();
    for line in extra.lines() {
        match line.strip_suffix(':') {
            Some(title) if !line.starts_with([' ', '.']) => {
                text.push_str(&format!(".SH {}\n", title.to_uppercase()));
            }
            _ => text.push_str(&format!("{line}\n")),
        }
    }
    text
}

/// A full disk must not pass for a written script.
fn ended(printer: &Printer) -> Result<ExitCode, Failure> {
    printer.stdout_failure().map_or(Ok(ExitCode::Done), Err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;

    /// Every command that is not hidden, with the commands below it, as the words that lead there.
    fn commands(of: &clap::Command, above: &str) -> Vec<String> {
        let below = of.get_subcommands().filter(|command| !command.is_hide_set());
        below
            .flat_map(|command| {
                let words = format!("{above} {}", command.get_name()).trim().to_owned();
                let mut all = commands(command, &words);
                all.push(words);
                all
            })
            .collect()
    }

    #[test]
    fn every_shell_gets_a_script_that_knows_every_command() {
        let all = commands(&Cli::command(), "");
        assert!(all.iter().any(|words| words == "hosts add"), "{all:?}");
        for shell in Shell::value_variants() {
            let script = script(*shell);
            for words in &all {
                let last = words.rsplit(' ').next().unwrap_or_default();
                assert!(script.contains(last), "{shell}: no {last}");
            }
        }
    }

    #[test]
    fn every_command_has_a_page() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let pages = dir.path().join("man1");
        let printer = Printer::new(crate::output::PrinterOptions { quiet: true, ..Default::default() });
        man(Some(&pages), &printer).expect("written");
        for words in commands(&Cli::command(), "") {
            let page = pages.join(format!("fulmar-{}.1", words.replace(' ', "-")));
            let text = std::fs::read_to_string(&page).unwrap_or_else(|_| panic!("no {}", page.display()));
            assert!(text.contains(".SH NAME") && text.contains(".SH SYNOPSIS"), "{words}");
            assert!(!text.contains(".SH EXTRA"), "{words}");
        }
        let whole = std::fs::read_to_string(pages.join("fulmar.1")).expect("there");
        assert!(whole.contains("hosts") && whole.contains("upload"));
        assert!(whole.contains("\n.SH ENVIRONMENT\n  FULMAR_SERVER") && whole.contains("\n.SH EXIT CODES\n"));
    }
}
