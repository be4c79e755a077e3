// Package archive reads and writes an export as one tar, compressed or encrypted.
//
// The file's name says its form, as with Strapi: BASE.tar, then .gz if it is compressed, then .enc or .age if it is encrypted.
//
//   - .enc is the cipher of `strapi export`, AES-128 in ECB mode without authentication. Strapi can read it; a stranger can
//     change it unnoticed.
//   - .age is an authenticated file of age (https://age-encryption.org), for a passphrase or for recipients. Strapi cannot
//     read it, the age tool can unpack it.
//
// What is written carries a manifest of counts and digests that Strapi's importer ignores. What is read is proven whole before
// the first record is handed out: a cut or changed archive is an error that wraps [transfer.ErrDamaged], also where Strapi
// would import it without a word.
//
// [transfer.ErrDamaged]: https://pkg.go.dev/github.com/transfer-runner/runner/transfer#ErrDamaged
package archive
