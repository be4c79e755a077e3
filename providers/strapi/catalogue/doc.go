// Package catalogue finds the schemas of a Strapi database and the layout of its tables.
//
// # Design
//
// Content types come from the copy that Strapi writes into the database when it boots, which alone has what plugins and extensions
// made of them; components are in files only. Neither is believed: the layout that they make is compared with the tables that are
// there, because a restore puts the schemas of another site into the row, where they stay until Strapi boots again.
package catalogue
