use driblet::control::PublishedSnapshot;

use crate::failure::Failure;
use crate::running::{ServerArgs, failed, say, shown};

/// Tell a running server that a build is complete
///
/// The server publishes the snapshots of its folders at once, without waiting until no file changes any more. The command
/// ends when they are published. SIGHUP has the same effect, without an answer.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  npm run build && driblet publish dist/")]
pub(crate) struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// Publish only these folders or files below ROOT
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let control = args.server.control()?;
    let paths: Vec<Option<&str>> = match args.paths.as_slice() {
        [] => vec![None],
        paths => paths.iter().map(|path| Some(path.as_str())).collect(),
    };
    for path in paths {
        for PublishedSnapshot { path, version, files, .. } in control.publish(path).map_err(|error| failed(&error))? {
            let files = files.map_or_else(String::new, |files| format!(", {files} files"));
            say(format_args!("{} is {version}{files}", shown(&path)))?;
        }
    }
    Ok(())
}
