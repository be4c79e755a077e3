package model

// Table is a table that Strapi keeps for itself: it has no schema and yields no entities.
type Table struct {
	UID  string
	Name string
}

// The tables of the configuration stage.
const (
	CoreStore = "strapi_core_store_settings"
	Webhooks  = "strapi_webhooks"
)

// The tables in which Strapi keeps the layout of the database as of its last boot, and the migrations that it has run. No
// transfer touches them.
const (
	DatabaseSchema     = "strapi_database_schema"
	Migrations         = "strapi_migrations"
	MigrationsInternal = "strapi_migrations_internal"
)

// SystemTables returns the tables that are no content types but that a restore empties as if they were: see the filters of
// transfer.Restore, which go by UID. Those for jobs exist in recent versions only.
func SystemTables() []Table {
	return []Table{
		{"strapi::core-store", CoreStore},
		{"strapi::webhook", Webhooks},
		{"plugin::content-manager.history-version", "strapi_history_versions"},
		{"plugin::upload.ai-metadata-job", "strapi_ai_metadata_jobs"},
		{"plugin::i18n.ai-localization-job", "strapi_ai_localization_jobs"},
	}
}
