// Package directory reads and writes an export as plain files, in the layout that `strapi export --format dir` has.
//
// It is written into a folder beside its own, which takes the name at Commit. It is read through [os.Root], so that nothing in
// it can lead outside; links and devices are refused.
package directory
