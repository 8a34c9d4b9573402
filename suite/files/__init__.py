"""Files in folders that a stranger may have filled: the one place that opens, writes and removes them.

A run folder arrives in an archive from somebody else, a data folder is shared by a group, a cache stands on
scratch. So within the folder that a user named no symbolic link is followed, only regular files are opened
(a pipe would block, a device would not end), what is read is bounded in bytes and depth, what is written is
written beside and renamed, and only names that the suite makes are removed. The named folder itself may be
a link: that is the user's own word. What ships with the suite is found here as well (`shipped`).
"""

from suite.files.reading import (
    MAX_JSON_DEPTH,
    UnsafeFileError,
    check_depth,
    list_folder,
    open_regular,
    parse_json,
    read_bytes,
    read_json,
    read_text,
    refuse_constant,
    unique_keys,
)
from suite.files.removing import remove_files, remove_folder
from suite.files.shipped import published_tables, shipped
from suite.files.writing import make_folder, open_append, open_lock_file, write_whole

__all__ = [
    "MAX_JSON_DEPTH",
    "UnsafeFileError",
    "check_depth",
    "list_folder",
    "make_folder",
    "open_append",
    "open_lock_file",
    "open_regular",
    "parse_json",
    "published_tables",
    "read_bytes",
    "read_json",
    "read_text",
    "refuse_constant",
    "remove_files",
    "remove_folder",
    "shipped",
    "unique_keys",
    "write_whole",
]
