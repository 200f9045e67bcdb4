//! A set, file by file: in place, in a cache, or from a mirror.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::download::{Download, Failure};
use super::error::ByHand;
use super::http::Client;
use super::part::{Part, with_suffix};
use super::payload::{self, Check, From, Problem, place};
use super::sources::{Archive, Keep, Source, SourceFile};
use super::{Event, FetchError, Fetched, FetchedSet, Origin, Settings, archive, caches};
use crate::{Error, folder};

/// Puts all files of `source` into `settings.root/NAME`, each verified before it gets its name.
///
/// Files that lie there already are verified and kept; one that turns out to be damaged (cut short,
/// or not IDX at all) is replaced once a good one has arrived. `progress` sees every step.
///
/// # Errors
/// Why the first file that could not be had could not: see [`FetchError`]. Files before it stay, and
/// so does a whole IDX file that is not the published one.
pub fn get(
    source: &Source,
    settings: &Settings,
    progress: &mut dyn FnMut(&Event<'_>),
) -> Result<FetchedSet, FetchError> {
    let folder = settings.root.join(&source.name);
    let mut getter =
        Getter { source, settings, folder: &folder, archive_is_whole: false, progress };
    let mut files = Vec::new();
    for file in &source.files {
        let fetched = getter.get(file).inspect_err(|_| {
            // A folder without a file in it is of no use; one with files cannot be removed so.
            let _ = fs::remove_dir(&folder);
        })?;
        (getter.progress)(&Event::Placed { file: &fetched });
        files.push(fetched);
    }
    Ok(FetchedSet { folder, files })
}

/// For each file of `source`: where in `folder` it lies and how far it could be checked, if it lies
/// there and is what it should be. Reads, and writes nothing. `progress` sees the damaged ones.
///
/// Of several files in the same role the one is looked at that opening the folder would read.
///
/// # Errors
/// [`FetchError::Foreign`] and [`FetchError::Read`].
pub fn in_place(
    source: &Source,
    folder: &Path,
    progress: &mut dyn FnMut(&Event<'_>),
) -> Result<Vec<Option<(PathBuf, Check)>>, FetchError> {
    let verified = |file: &SourceFile| match find_in_place(source, file, folder, progress) {
        Ok(InPlace::Good(path, check)) => Ok(Some((path, check))),
        Ok(InPlace::Bad { .. } | InPlace::Nothing) => Ok(None),
        // Most likely the published file, of which a part is kept here, and all of it by torchvision.
        Err(FetchError::Foreign { path, why, .. }) if file.keep != Keep::Whole => {
            progress(&Event::Skipped { path: &path, why: &why });
            Ok(None)
        }
        Err(error) => Err(error),
    };
    source.files.iter().map(verified).collect()
}

/// What a folder has in the role of a file.
enum InPlace {
    /// The file itself.
    Good(PathBuf, Check),
    /// A damaged file that is read all the same, and what else is there in its role.
    Bad {
        read: PathBuf,
        others: Vec<PathBuf>,
    },
    Nothing,
}

/// Verifies what opening `folder` would read in the role of `file`, and only that: another file
/// beside it may be good, and nobody would read it.
fn find_in_place(
    source: &Source,
    file: &SourceFile,
    folder: &Path,
    progress: &mut dyn FnMut(&Event<'_>),
) -> Result<InPlace, FetchError> {
    let unreadable = |path: &Path, source| FetchError::Read { path: path.into(), source };
    let mut all = folder::candidates(folder, &source.name).map_err(|error| match error {
        Error::Read { path, source } => unreadable(&path, source),
        other => unreadable(folder, io::Error::other(other)),
    })?;
    let role = folder::role(&file.name, &source.name);
    let mut paths = role.map(|role| std::mem::take(&mut all[role])).unwrap_or_default();
    paths.retain(|path| path.is_file());
    if paths.is_empty() {
        return Ok(InPlace::Nothing);
    }
    let read = paths.remove(0);
    match payload::verify(&read, file) {
        Ok(check) => Ok(InPlace::Good(read, check)),
        Err(Problem::Read(source)) => Err(unreadable(&read, source)),
        Err(problem) => match payload::whole_idx(&read) {
            Some(header) => {
                let (found, published) = (header.describe(), file.kept_header().describe());
                let differs = || format!("is {found}, not {published}");
                let why = if found == published { why(&problem) } else { differs() };
                Err(FetchError::Foreign { path: read, set: source.name.clone(), why })
            }
            None => {
                progress(&Event::Skipped { path: &read, why: &why(&problem) });
                Ok(InPlace::Bad { read, others: paths })
            }
        },
    }
}

struct Getter<'a> {
    source: &'a Source,
    settings: &'a Settings,
    folder: &'a Path,
    /// Half a gigabyte is hashed once, not once for each of its files.
    archive_is_whole: bool,
    progress: &'a mut dyn FnMut(&Event<'_>),
}

impl Getter<'_> {
    fn get(&mut self, file: &SourceFile) -> Result<Fetched, FetchError> {
        let (bad, others) = match find_in_place(self.source, file, self.folder, self.progress)? {
            InPlace::Good(path, check) => {
                return Ok(Fetched { path, origin: Origin::InPlace, check });
            }
            InPlace::Bad { read, others } => (Some(read), others),
            InPlace::Nothing => (None, Vec::new()),
        };
        create_folder(self.folder)?;
        // A bad file that goes by another name would go on to be read before a good one of the usual
        // name; but a raw file is read before any that is named as gzipped.
        let bad = bad.filter(|path| !folder::is_named_gzip(path));
        let target = bad.unwrap_or_else(|| self.folder.join(&file.name));
        if let Some((origin, check)) = self.take_from_beside(file, others, &target)? {
            return Ok(Fetched { path: target, origin, check });
        }
        if let Some((origin, check)) = self.take_from_caches(file, &target)? {
            return Ok(Fetched { path: target, origin, check });
        }
        let (origin, check) = match &self.source.archive {
            Some(archive) => self.extract(file, archive, &target)?,
            None => self.download(file, &target)?,
        };
        Ok(Fetched { path: target, origin, check })
    }

    /// Puts the first good one of the files `others` at `target`.
    fn take_from_beside(
        &mut self,
        file: &SourceFile,
        others: Vec<PathBuf>,
        target: &Path,
    ) -> Result<Option<(Origin, Check)>, FetchError> {
        for path in others {
            match place(&path, From::Cache, file, target) {
                Ok(check) => return Ok(Some((Origin::Beside { path }, check))),
                Err(Problem::Write(path, source)) => {
                    return Err(FetchError::Write { path, kept: false, source });
                }
                Err(problem) => {
                    (self.progress)(&Event::Skipped { path: &path, why: &why(&problem) });
                }
            }
        }
        Ok(None)
    }

    fn take_from_caches(
        &mut self,
        file: &SourceFile,
        target: &Path,
    ) -> Result<Option<(Origin, Check)>, FetchError> {
        for found in caches::candidates(&self.settings.caches, self.source, file) {
            if !found.path.is_file() {
                continue;
            }
            let (name, tool) = (file.name.as_str(), found.tool);
            (self.progress)(&Event::Copying { name, tool, from: &found.path });
            match caches::take(&found, file, target) {
                Ok(check) => {
                    let origin = Origin::Cache { tool: tool.into(), path: found.path };
                    return Ok(Some((origin, check)));
                }
                Err(Problem::Write(path, source)) => {
                    return Err(FetchError::Write { path, kept: false, source });
                }
                // What another tool's cache holds is no reason to stop: the mirrors come next.
                Err(problem) => {
                    (self.progress)(&Event::Skipped { path: &found.path, why: &why(&problem) });
                }
            }
        }
        Ok(None)
    }

    fn download(
        &mut self,
        file: &SourceFile,
        target: &Path,
    ) -> Result<(Origin, Check), FetchError> {
        let by_hand = ByHand {
            file: format!("{0}.gz (or {0}, inflated)", file.name),
            folder: self.folder.into(),
        };
        // Deflate never makes a file larger by more than five bytes in 16 KiB.
        let payload = file.header.file_size() as u64;
        let limit = payload + payload / 1000 + 4096;
        let part_of = with_suffix(target, ".gz");
        let (check, url) = self.run(file, &file.remote, limit, by_hand, &part_of, |part| {
            place(part, From::Mirror, file, target)
        })?;
        Ok((Origin::Mirror { url }, check))
    }

    fn extract(
        &mut self,
        file: &SourceFile,
        archive: &Archive,
        target: &Path,
    ) -> Result<(Origin, Check), FetchError> {
        let path = self.settings.root.join(&archive.local);
        if !self.archive_is_whole && path.is_file() {
            match archive::verify(&path, archive) {
                Ok(()) => self.archive_is_whole = true,
                Err(problem) => {
                    (self.progress)(&Event::Skipped { path: &path, why: &why(&problem) });
                }
            }
        }
        if !self.archive_is_whole {
            let parent = path.parent().unwrap_or(Path::new(".")).to_owned();
            let by_hand = ByHand { file: archive.remote.clone(), folder: parent };
            self.run(file, &archive.remote, archive.bytes, by_hand, &path, |part| {
                archive::verify(part, archive)?;
                // The part is the archive, to the byte: it needs another name, not a copy.
                fs::rename(part, &path).map_err(|error| Problem::Write(path.clone(), error))
            })?;
            self.archive_is_whole = true;
        }
        match archive::extract(&path, file, target) {
            Ok(check) => Ok((Origin::Archive { path }, check)),
            Err(Problem::Write(path, source)) => {
                Err(FetchError::Write { path, kept: false, source })
            }
            Err(Problem::Read(source)) => Err(FetchError::Read { path, source }),
            Err(Problem::Damaged(why)) => {
                Err(FetchError::Read { path, source: io::Error::other(format!("it {why}")) })
            }
        }
    }

    /// Downloads `remote` beside `part_of` from the first mirror whose file `accept` takes; returns
    /// what it returned, and the address.
    fn run<T>(
        &mut self,
        file: &SourceFile,
        remote: &str,
        limit: u64,
        by_hand: ByHand,
        part_of: &Path,
        mut accept: impl FnMut(&Path) -> Result<T, Problem>,
    ) -> Result<(T, String), FetchError> {
        let (set, name) = (self.source.name.clone(), file.name.clone());
        let Some(network) = &self.settings.network else {
            return Err(FetchError::NotHere { set, file: name, by_hand });
        };
        let urls: Vec<String> =
            self.source.mirrors.iter().map(|base| format!("{base}{remote}")).collect();
        let client = Client::new(network, urls.iter().all(|url| url.starts_with("https://")))?;
        // Before the first request: a disk that cannot be written to shows here.
        create_folder(&by_hand.folder)?;
        let mut part = Part::open(part_of)?;
        let mut download = Download {
            client: &client,
            network,
            urls: &urls,
            limit,
            name: remote,
            progress: self.progress,
        };
        match download.run(&mut part, |part| accept(part.path())) {
            Ok(accepted) => {
                part.remove();
                Ok(accepted)
            }
            Err(Failure::Local(error)) => Err(error),
            Err(Failure::Mirrors(failures)) => {
                if part.len() == 0 {
                    part.remove();
                    // The archive's folder, if it is empty; `get` sees to that of the set.
                    let _ = fs::remove_dir(&by_hand.folder);
                }
                Err(FetchError::Unavailable { set, file: name, by_hand, failures })
            }
        }
    }
}

/// Creates a folder that can be written to.
fn create_folder(folder: &Path) -> Result<(), FetchError> {
    let failed = |source| FetchError::Write { path: folder.into(), kept: false, source };
    fs::create_dir_all(folder).map_err(failed)?;
    // The superuser could write into a folder marked read-only; the mark is honoured all the same.
    if fs::metadata(folder).map_err(failed)?.permissions().readonly() {
        return Err(failed(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "the folder is read-only",
        )));
    }
    Ok(())
}

fn why(problem: &Problem) -> String {
    match problem {
        Problem::Damaged(why) => why.clone(),
        Problem::Read(error) | Problem::Write(_, error) => format!("cannot be read ({error})"),
    }
}
