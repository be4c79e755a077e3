// Package catalogue finds the schemas of a Strapi database and the layout of its tables.
//
// # Design
//
// Content types come from the copy that Strapi writes into the database when it boots, which alone has what plugins and extensions
// made of them; components are in files only. Neither is believed: the layout that they make is compared with the tables that are
// there, because a restore puts the schemas of another site into the row, where they stay until Strapi boots again.
//
// Files may be ahead of the database: Strapi makes tables when it boots. What is new in them is left out, as far as it is certain that
// it is new and not an old thing with another name, and it is told. Content types are never taken from files: Strapi's own are in no
// file of the project, and those of the project are what plugins and the code of extensions make of them.
package catalogue
