package model

// OwnColumns returns the columns of the type's own table.
func (t *Type) OwnColumns() map[string]bool {
	columns := map[string]bool{ID: true}
	for _, c := range t.Columns {
		columns[c.Name] = true
	}
	for _, r := range t.Relations {
		switch r.Storage {
		case JoinColumn:
			columns[r.Column] = true
		case MorphColumns:
			columns[r.IDColumn], columns[r.TypeColumn] = true, true
		case JoinTable, MorphTable:
		}
	}
	return columns
}

// LinkTables returns the columns of the tables that hang on the type: those of its components and of its relations.
func (t *Type) LinkTables() map[string]map[string]bool {
	tables := make(map[string]map[string]bool)
	add := func(table string, columns ...string) {
		if tables[table] == nil {
			tables[table] = make(map[string]bool)
		}
		for _, c := range columns {
			if c != "" {
				tables[table][c] = true
			}
		}
	}
	if t.ZoneTable != "" {
		add(t.ZoneTable, ID, ZoneEntity, ZoneComponent, ZoneType, ZoneField, ZoneOrder)
	}
	for _, r := range t.Relations {
		switch r.Storage {
		case JoinTable:
			add(r.Table, r.Left, r.Right, r.Order, r.InverseOrder)
		case MorphTable:
			add(r.Table, r.Left, r.IDColumn, r.TypeColumn, r.FieldColumn, r.Order)
		case JoinColumn, MorphColumns:
		}
	}
	return tables
}
