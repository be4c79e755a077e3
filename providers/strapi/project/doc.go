// Package project finds what a Strapi project says of itself, without running it: its database, its files, its secrets.
package project
