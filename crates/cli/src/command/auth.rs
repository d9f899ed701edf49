use std::io::{self, IsTerminal};

use driblet::NewToken;

use crate::failure::Failure;
use crate::print;

/// Make the hashes of passwords and tokens for the file of `driblet serve --auth-file`
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(clap::Subcommand)]
enum Kind {
    /// Ask for a password, and print its hash (argon2id)
    ///
    /// Without a terminal, the password is the first line of the standard input. The hash, on stdout, goes into the file
    /// of rules: users = { alice = "HASH" }.
    Password,
    /// Make a random token for a program, and print it and its hash
    ///
    /// The token is printed on stderr, once; the program sends it as `Authorization: Bearer TOKEN`. The hash, on stdout,
    /// goes into the file of rules: tokens = { ci = "HASH" }. So `driblet auth token > hash` shows the token alone.
    Token,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let hash = match args.kind {
        Kind::Password => {
            let password = password().map_err(|error| Failure::new("cannot read the password", &error))?;
            driblet::hash_password(&password).map_err(|error| Failure::of(&error))?
        }
        Kind::Token => {
            let made = NewToken::random().map_err(|error| Failure::new("cannot make a token", &error))?;
            print::error(made.token);
            made.hash
        }
    };
    print::line(hash).map_err(|error| Failure::stdout(&error))
}

/// A password from the terminal, typed twice and not shown, or the first line of the standard input.
fn password() -> io::Result<String> {
    let password = if io::stdin().is_terminal() {
        let password = rpassword::prompt_password("Password: ")?;
        if rpassword::prompt_password("The same again: ")? != password {
            return Err(io::Error::other("the two differ; try again"));
        }
        password
    } else {
        let mut line = String::new();
        io::stdin().read_line(&mut line)?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    };
    if password.is_empty() {
        return Err(io::Error::other("it is empty"));
    }
    Ok(password)
}
