// Package vault keeps snapshots of sites by content, each piece once.
//
// A vault is a folder:
//
//	index.db     SQLite: sites, snapshots, and which pieces a snapshot is made of
//	blobs/ab/…   the pieces, named by the SHA-256 of their bytes, never changed once there
//	tmp/         what is being written; what is left there by a crash is swept
//	locks/       who is writing, and whether pieces may be removed
//
// Uploaded files are pieces as they are. The records of the other stages are JSON lines, cut into segments and compressed with
// zstd. Where a segment ends depends on the records themselves, so that a change moves only the cuts beside it: two snapshots of
// almost the same content share almost all of their pieces.
//
// A snapshot becomes visible by one transaction in the index, after every piece has reached the disk. Before that nothing refers
// to the pieces; after it nothing about the snapshot is missing. Snapshots are never changed. What no snapshot refers to any more
// is removed while nobody reads or writes.
//
// Several processes may use a vault at once. One transfer at a time writes a site.
package vault
