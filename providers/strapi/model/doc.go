// Package model says how Strapi 5 lays content types and components out in tables.
//
// It computes names and storages from schemas alone, as Strapi does when it boots; whether a database agrees is for others to
// check. It knows no database and reads no files.
package model
