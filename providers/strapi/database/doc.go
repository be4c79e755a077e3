// Package database opens the databases that Strapi runs on, SQLite, PostgreSQL and MySQL or MariaDB, and speaks their dialects.
//
// Statements are written once: with ? for values, whatever the database calls them, and with names quoted by [DB.Quote]. Values
// come back as they are stored, as text, int64, float64 or nil; never as a time and never rounded.
//
// # Design
//
// A connection belongs to one [Snapshot] or one [Tx] and is closed with it: a transfer needs one for minutes, and a pool would
// only hide on which of them a lock, a setting or a half-read result lives. The drivers are spoken to without database/sql,
// which costs a lock, a goroutine and several allocations a statement and would turn dates into times.
package database
