// Creates the database and writes model.json: how types, tables and columns belong together, which is all that graph.js has
// to know about Strapi.
const { writeFileSync } = require('fs');
const boot = require('./boot');

// A join is one table between the rows of an owner and what they point at.
function describeJoin({ joinTable: join, target }) {
  return {
    table: join.name,
    from: join.joinColumn.name,
    to: join.inverseJoinColumn?.name ?? join.morphColumn.idColumn.name,
    toType: join.morphColumn?.typeColumn.name,
    target,
    order: join.orderColumnName ?? (join.morphColumn && 'order'),
    inverseOrder: join.inverseOrderColumnName,
  };
}

function describeModel(uid, meta, strapi) {
  const model = { table: meta.tableName, component: Boolean(strapi.components[uid]), columns: {}, joins: {}, morphs: {} };
  for (const [name, attribute] of Object.entries(meta.attributes)) {
    if (attribute.columnName) model.columns[attribute.columnName] = attribute.type;
    if (attribute.mappedBy || attribute.morphBy) continue;
    if (attribute.joinTable?.on?.field) model.components = attribute.joinTable.name;
    else if (attribute.joinTable) model.joins[name] = describeJoin(attribute);
    else if (attribute.morphColumn) model.morphs[name] = { id: attribute.morphColumn.idColumn.name, type: attribute.morphColumn.typeColumn.name };
  }
  return model;
}

boot((strapi) => {
  const model = {};
  for (const [uid, meta] of strapi.db.metadata.entries()) {
    if (uid.includes('::') || strapi.components[uid]) model[uid] = describeModel(uid, meta, strapi);
  }
  writeFileSync('model.json', JSON.stringify(model, null, 1));
});
