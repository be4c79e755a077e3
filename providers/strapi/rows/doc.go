// Package rows turns entities into the rows that Strapi keeps them in, and remembers which id each of them got.
//
// It knows neither a connection nor a file: what it makes is written by package strapi.
package rows
