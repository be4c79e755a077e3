// Moves content between an unencrypted archive and a server with the client of an older Strapi version, as its "strapi transfer" does:
//   node client.js VERSION push|pull ARCHIVE URL
// The token is in STRAPI_TRANSFER_TOKEN.
const [version, direction, archive, url] = process.argv.slice(2);
const { engine, file, strapi } = require(`client-${version}`);

const remote = { url: new URL(url), auth: { type: 'token', token: process.env.STRAPI_TRANSFER_TOKEN } };
const local = { file: { path: archive }, encryption: { enabled: false }, compression: { enabled: false } };
const restore = { assets: true, configuration: { webhook: true, coreStore: true }, entities: { exclude: [] } };

const [source, destination] =
  direction === 'push'
    ? [file.providers.createLocalFileSourceProvider(local), strapi.providers.createRemoteStrapiDestinationProvider({ ...remote, strategy: 'restore', restore })]
    : [strapi.providers.createRemoteStrapiSourceProvider(remote), file.providers.createLocalFileDestinationProvider({ ...local, file: { path: archive.replace(/\.tar$/, '') } })];

engine
  .createTransferEngine(source, destination, { versionStrategy: 'ignore', schemaStrategy: 'ignore' })
  .transfer()
  .then(
    () => process.exit(0),
    (error) => {
      console.error(error);
      process.exit(1);
    }
  );
