//! Users: a directory with one file each, mounted from the Secret `marsad-users`. A file is read when somebody signs
//! in, so that a change counts as soon as the kubelet has swapped it in; nothing is kept in memory.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

/// Hashes computed at once: each takes 19 MiB and 20 ms of a core by default.
const AT_ONCE: usize = 2;
/// Longest wait for a turn.
const TURN: Duration = Duration::from_secs(5);
/// Largest user file, bytes; a PHC string has about 100.
const LARGEST_FILE: u64 = 4096;
/// Checked when there is no user at all, so that even then the time says nothing. Of a random password.
const DECOY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZSByYW5kb20gc2FsdA$Q2UyYmZ1b0pqT3N2d0VnQ0tXb0pYd1JtY2hIeW1uU1k";

/// A password can't be judged now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UsersError {
    /// Too many at once.
    #[error("too many sign-ins at once")]
    Busy,
    /// The directory or a file can't be read.
    #[error("the users in {dir} can't be read: {source}")]
    Read {
        dir: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The task that computes was lost.
    #[error("the password could not be checked: {0}")]
    Lost(#[from] tokio::task::JoinError),
}

/// The directory of users.
#[derive(Debug)]
pub(crate) struct Users {
    dir: PathBuf,
    turns: Arc<Semaphore>,
}

impl Users {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Whether `password` is that of user `name`. A user that is not there costs as much time as one that is.
    pub(crate) async fn check(&self, name: &str, password: String) -> Result<bool, UsersError> {
        let known = self.hash_of(name).await?;
        let exists = known.is_some();
        let hash = match known {
            Some(hash) => hash,
            None => self.any_hash().await.unwrap_or_else(|| DECOY.to_owned()),
        };
        let turn = tokio::time::timeout(TURN, self.turns.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(UsersError::Busy);
        };
        let user = name.to_owned();
        let matches = tokio::task::spawn_blocking(move || {
            // Held by the work, not by the request: who hangs up does not make room for another.
            let _turn = turn;
            verify(&user, exists, &hash, &password)
        })
        .await?;
        Ok(matches && exists)
    }

    async fn hash_of(&self, name: &str) -> Result<Option<String>, UsersError> {
        if !well_formed(name) {
            return Ok(None);
        }
        match read(&self.dir.join(name)).await {
            Ok(hash) => Ok(hash),
            // No file, or no Secret yet: nobody of that name.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(UsersError::Read {
                dir: self.dir.clone(),
                source,
            }),
        }
    }

    /// Somebody's hash, so that the work for a stranger has the parameters in use.
    async fn any_hash(&self) -> Option<String> {
        let mut entries = tokio::fs::read_dir(&self.dir).await.ok()?;
        while let Ok(Some(entry)) = entries.next_entry().await {
            if entry.file_name().to_str().is_some_and(well_formed)
                && let Ok(Some(hash)) = read(&entry.path()).await
            {
                return Some(hash);
            }
        }
        None
    }
}

/// A user's name: what a Secret's key may be, and nothing that the kubelet keeps for itself (`..data`).
pub(crate) fn well_formed(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// The file's text; `None` when it is no file of a user.
async fn read(path: &Path) -> io::Result<Option<String>> {
    let about = tokio::fs::metadata(path).await?;
    if !about.is_file() || about.len() > LARGEST_FILE {
        return Ok(None);
    }
    let text = tokio::fs::read_to_string(path).await?;
    Ok(Some(text.trim().to_owned()))
}

fn verify(user: &str, exists: bool, hash: &str, password: &str) -> bool {
    match PasswordHash::new(hash) {
        Ok(hash) if hash.algorithm.as_str() == "argon2id" => Argon2::default()
            .verify_password(password.as_bytes(), &hash)
            .is_ok(),
        _ => {
            if exists {
                tracing::error!(
                    user,
                    "the user's entry is not an Argon2id PHC string: nobody can sign in with it"
                );
            }
            if let Ok(decoy) = PasswordHash::new(DECOY) {
                let _ = Argon2::default().verify_password(password.as_bytes(), &decoy);
            }
            false
        }
    }
}

/// The PHC string of a password, for the Secret `marsad-users`: Argon2id, 19 MiB, two passes (OWASP's minimum).
///
/// # Errors
/// When the system has no randomness, or the password is longer than Argon2 takes.
pub fn hash_password(password: &str) -> Result<String, argon2::password_hash::Error> {
    Ok(Argon2::default().hash_password(password.as_bytes())?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cheap parameters: the tests are about who may in, not about how long it takes.
    fn cheap_hash(password: &str) -> String {
        let params = argon2::Params::new(argon2::Params::MIN_M_COST, 1, 1, None).unwrap();
        let argon2 = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
        argon2.hash_password(password.as_bytes()).unwrap().to_string()
    }

    fn put(dir: &Path, name: &str, text: &str) {
        std::fs::write(dir.join(name), text).unwrap();
    }

    async fn may(users: &Users, name: &str, password: &str) -> bool {
        users.check(name, password.to_owned()).await.unwrap()
    }

    #[tokio::test]
    async fn the_right_password_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "admin", &format!("{}\n", cheap_hash("s3cret")));
        put(dir.path(), "plain", "s3cret");
        put(dir.path(), ".hidden", &cheap_hash("s3cret"));
        std::fs::create_dir(dir.path().join("folder")).unwrap();
        let argon2i = Argon2::new(
            argon2::Algorithm::Argon2i,
            argon2::Version::V0x13,
            argon2::Params::new(8, 1, 1, None).unwrap(),
        );
        put(
            dir.path(),
            "weak",
            &argon2i.hash_password(b"s3cret").unwrap().to_string(),
        );
        let users = Users::new(dir.path().to_owned());
        assert!(may(&users, "admin", "s3cret").await);
        for (name, password) in [
            ("admin", "S3cret"),
            ("admin", ""),
            ("Admin", "s3cret"),
            ("nobody", "s3cret"),
            ("plain", "s3cret"),
            ("weak", "s3cret"),
            (".hidden", "s3cret"),
            ("folder", "s3cret"),
            ("../admin", "s3cret"),
            ("folder/../admin", "s3cret"),
            ("", "s3cret"),
        ] {
            assert!(!may(&users, name, password).await, "{name:?} {password:?}");
        }
    }

    #[tokio::test]
    async fn a_swap_by_the_kubelet_counts_at_once() {
        // As the kubelet does: files are links into ..data, which is a link that is renamed over.
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for (version, password) in [("..v1", "old"), ("..v2", "new")] {
            std::fs::create_dir(root.join(version)).unwrap();
            put(&root.join(version), "admin", &cheap_hash(password));
        }
        std::os::unix::fs::symlink("..v1", root.join("..data")).unwrap();
        std::os::unix::fs::symlink("..data/admin", root.join("admin")).unwrap();
        let users = Users::new(root.to_owned());
        assert!(may(&users, "admin", "old").await);
        std::os::unix::fs::symlink("..v2", root.join("..tmp")).unwrap();
        std::fs::rename(root.join("..tmp"), root.join("..data")).unwrap();
        assert!(!may(&users, "admin", "old").await);
        assert!(may(&users, "admin", "new").await);
    }

    #[tokio::test]
    async fn without_a_secret_nobody_may_in_and_nothing_breaks() {
        let users = Users::new("/nowhere/at/all".into());
        assert!(!may(&users, "admin", "s3cret").await);
    }

    #[test]
    fn the_decoy_is_as_costly_as_what_we_make() {
        let (decoy, ours) = (PasswordHash::new(DECOY).unwrap(), hash_password("x").unwrap());
        let ours = PasswordHash::new(&ours).unwrap();
        assert_eq!(decoy.algorithm, ours.algorithm);
        assert_eq!(decoy.params, ours.params);
        assert_eq!(
            decoy.hash.unwrap().as_bytes().len(),
            ours.hash.unwrap().as_bytes().len()
        );
    }

    #[tokio::test]
    async fn a_stranger_costs_what_a_user_costs() {
        let dir = tempfile::tempdir().unwrap();
        let hash = cheap_hash("s3cret");
        put(dir.path(), "admin", &hash);
        let users = Users::new(dir.path().to_owned());
        assert_eq!(users.hash_of("nobody").await.unwrap(), None);
        assert_eq!(
            users.any_hash().await,
            Some(hash),
            "the same parameters are worked through"
        );
        // And the work is done in turn, for strangers too.
        let _all = users
            .turns
            .clone()
            .acquire_many_owned(AT_ONCE as u32)
            .await
            .unwrap();
        tokio::time::pause();
        assert!(matches!(
            users.check("nobody", "x".into()).await,
            Err(UsersError::Busy)
        ));
    }
}
