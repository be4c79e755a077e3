package strapi

import (
	"context"
	"fmt"
	"strings"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/model"
	"github.com/transfer-runner/runner/transfer"
)

// schemaKey is the row of the core store that says how this database is laid out. The source's would only be wrong here until
// Strapi boots, so the own one stays.
const schemaKey = "strapi_content_types_schema"

// clearSystem empties the tables that Strapi keeps for itself and that a restore replaces.
func (c *clearer) clearSystem(ctx context.Context) error {
	for _, t := range model.SystemTables() {
		replace := replaces(c.d.plan.Restore, t.UID)
		if t.Name == model.CoreStore || t.Name == model.Webhooks {
			replace = replace || c.d.plan.Restore.Configuration
		}
		if !replace || !c.d.catalogue.HasTable(t.Name) {
			continue
		}
		statement := "DELETE FROM " + c.quote(t.Name)
		if t.Name == model.CoreStore {
			key := c.quote("key")
			statement += " WHERE (" + key + " IS NULL OR " + key + " <> '" + schemaKey + "' AND " + key + " <> '" + markerKey + "')"
		}
		if _, err := c.tx.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// clearUnknown does for tables that Strapi knows nothing of what their foreign keys ask for. SQLite cannot switch its own on
// again before the end of the transaction; the others have done it already.
func (c *clearer) clearUnknown(ctx context.Context) error {
	if c.d.site.db.Kind() != database.SQLite {
		return nil
	}
	known := make(map[string]bool)
	emptied := make(map[string]bool)
	for _, t := range c.model.Types {
		known[t.Table], known[t.ZoneTable] = true, true
		for _, r := range t.Relations {
			known[r.Table] = true
		}
		emptied[t.Table] = emptied[t.Table] || c.cleared[t.UID] || c.gone[t.UID] != nil
	}
	keys, err := c.tx.All(ctx, `SELECT DISTINCT m.name, f."table", f."from", coalesce(f."to", 'id'), f.on_delete FROM sqlite_schema m `+
		`JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table'`)
	if err != nil {
		return err
	}
	for _, key := range keys {
		child, parent := database.Text(key[0]), database.Text(key[1])
		if known[child] || !emptied[parent] {
			continue
		}
		from, to := c.quote(database.Text(key[2])), c.quote(database.Text(key[3]))
		where := fmt.Sprintf(" WHERE %s IS NOT NULL AND %s NOT IN (SELECT %s FROM %s)", from, from, to, c.quote(parent))
		statement := "DELETE FROM " + c.quote(child) + where
		switch action := strings.ToUpper(database.Text(key[4])); action {
		case "CASCADE":
		case "SET NULL":
			statement = "UPDATE " + c.quote(child) + " SET " + from + " = NULL" + where
		default:
			return fmt.Errorf("%w: table %s refers to %s and forbids to delete there (ON DELETE %s); Strapi knows nothing of it: "+
				"remove its rows first", transfer.ErrUnwritable, child, parent, action)
		}
		if _, err := c.tx.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
