// Package uploads keeps the files of a Strapi project's media library, in a local folder or in an S3-compatible bucket.
//
// A change of the files goes with a change of the rows in a database. Both can't be made durable in one step, so a [Change] has an
// ID that the writer of the database keeps in the same transaction: after a crash [Store.Recover] asks whether that ID was committed,
// and finishes or undoes the change.
package uploads
