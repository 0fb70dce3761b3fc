// Package files finds files and tells them apart.
//
// A [Matcher] holds the include and exclude globs of an input; [Scan] walks the
// directories that they can match in, and lists what is there, in order of birth; a
// [Watcher] (fsnotify on directories, never on files) says which directories and files have
// changed. All three only look: what a file means is decided by the agent.
//
// An [Identity] is device, inode and birth time (statx). It alone is not
// enough: file systems hand an inode out again within seconds, and not all tell the birth time. So a [Head],
// the first bytes of a file, is compared too.
package files
