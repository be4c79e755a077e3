// Package providers turns an endpoint string into the provider that serves it.
//
// [Parse] knows the grammar, [Registry] opens what was parsed. The forms are:
//
//	https://host/admin         a transfer runner: a Strapi server
//	backup.tar[.gz][.enc|.age] an archive
//	dir:PATH, ./export/        the same content unpacked
//	vault:SITE[@SNAPSHOT]      a site in the local vault
//	./project/, strapi:PATH    a Strapi project, by its folder
//	postgres://user@host/name  the database of one, as mysql://, mariadb:// and sqlite:PATH
//	NAME                       a server that the configuration knows by name: see [Remotes]
package providers
