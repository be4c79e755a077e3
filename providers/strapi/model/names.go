package model

// The names of a type's own tables and columns.

func tableName(collection string) (string, error) { return join(free(collection)) }

func columnName(attribute string) (string, error) { return join(free(snake(attribute))) }

func zoneTableName(collection string) (string, error) { return join(free(collection), fixed("cmps")) }

func idName(name string) (string, error) { return join(free(snake(name)), fixed("id")) }

func inverseIDName(name string) (string, error) {
	return join(fixed("inv"), free(snake(name)), fixed("id"))
}

func typeName(name string) (string, error) { return join(free(snake(name)), fixed("type")) }

func orderName(name string) (string, error) { return join(free(snake(name)), fixed("ord")) }

func inverseOrderName(name string) (string, error) {
	return join(fixed("inv"), free(snake(name)), fixed("ord"))
}

// The names of what hangs on an attribute. They take the table's name as it is in the database, which may be shortened already.

func linkTableName(table, attribute string) (string, error) {
	return join(free(snake(table)), free(snake(attribute)), fixed("lnk"))
}

func morphTableName(table, attribute string) (string, error) {
	return join(free(snake(table)), free(snake(attribute)), fixed("mph"))
}

// ColumnOf returns the table of a collection name and the column of a scalar attribute.
func ColumnOf(collection, attribute string) (table, column string, err error) {
	n := namer{}
	table, column = n.name(tableName(collection)), n.name(columnName(attribute))
	return table, column, n.err
}
