//! Copies the attributes of the replaced file to the new one.

use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;

use xattr::FileExt;

use super::error::prevented;

const ACCESS_LIST: &str = "system.posix_acl_access";
/// Attributes that are hashes of the file's bytes.
const OF_BYTES: [&str; 2] = ["security.ima", "security.evm"];

/// Gives `new` the owner, group, permissions, access list and extended attributes of the file at `path`.
///
/// If the system does not permit it, the owner or the group stays the new file's. Permissions that other users would
/// get by that are dropped.
pub(super) fn keep(path: &Path, old: &Metadata, new: &File) -> io::Result<()> {
    let made = new.metadata()?;
    // In this order, since changing the owner clears capabilities, and the access list changes the mode.
    let owner = made.uid() == old.uid() || fchown(new, Some(old.uid()), None).is_ok();
    let group = made.gid() == old.gid() || fchown(new, None, Some(old.gid())).is_ok();
    extended(path, new)?;
    let mode = mode(old.mode() & 0o7777, owner, group);
    if new.metadata()?.mode() & 0o7777 != mode {
        new.set_permissions(Permissions::from_mode(mode))?;
    }
    Ok(())
}

fn mode(old: u32, owner: bool, group: bool) -> u32 {
    let mode = if owner { old } else { old & !0o4000 };
    // The new group gets the permissions of all other users.
    if group { mode } else { mode & !0o2070 | (mode & 0o7) << 3 }
}

fn extended(path: &Path, new: &File) -> io::Result<()> {
    // Some file systems have no attributes.
    let Ok(names) = xattr::list(path) else { return Ok(()) };
    let mut listed = false;
    for name in names.filter(|name| !OF_BYTES.iter().any(|of| name == *of)) {
        // An attribute that may not be read was set by a user with more rights.
        let Ok(Some(value)) = xattr::get(path, &name) else { continue };
        let set = new.set_xattr(&name, &value);
        listed |= name == ACCESS_LIST;
        // Attributes of the system may be refused.
        if name == ACCESS_LIST || name.to_string_lossy().starts_with("user.") {
            set.map_err(|error| prevented(format!("its attribute {} cannot be kept", name.display()), error))?;
        }
    }
    if !listed {
        // The folder may have given the new file an access list.
        let _ = new.remove_xattr(ACCESS_LIST);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::mode;

    #[test]
    fn rights_do_not_pass_to_another_owner_or_group() {
        assert_eq!(mode(0o6755, true, true), 0o6755);
        assert_eq!(mode(0o6755, false, true), 0o2755);
        assert_eq!(mode(0o6775, true, false), 0o4755);
        assert_eq!(mode(0o640, false, false), 0o600);
    }
}
