// Package sitetest makes Strapi databases for tests, without Strapi: empty ones with the tables that it would make for given
// schemas, and the site of a real one with what Strapi itself reads of it.
package sitetest
