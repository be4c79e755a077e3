// Builds what a configuration file of a Strapi project may use: its variables, the helpers of Strapi for them, and path. Of other
// modules only those are there that compute something from their arguments alone.
(function (vars, cwd, dirname, native, lenient) {
  'use strict';
  const has = (key) => Object.prototype.hasOwnProperty.call(vars, key);
  const env = (key, fallback) => (has(key) ? vars[key] : fallback);
  env.int = (key, fallback) => (has(key) ? parseInt(vars[key], 10) : fallback);
  env.float = (key, fallback) => (has(key) ? parseFloat(vars[key]) : fallback);
  env.bool = (key, fallback) => (has(key) ? vars[key] === 'true' : fallback);
  env.json = (key, fallback) => {
    if (!has(key)) return fallback;
    try {
      return JSON.parse(vars[key]);
    } catch (e) {
      throw new Error('the variable ' + key + ' does not hold JSON');
    }
  };
  env.array = (key, fallback) => {
    if (!has(key)) return fallback;
    const list = vars[key];
    const inner = list.startsWith('[') && list.endsWith(']') ? list.slice(1, -1) : list;
    return inner.split(',').map((item) => item.replace(/^ +| +$/g, '').replace(/^"+|"+$/g, ''));
  };
  env.date = (key, fallback) => (has(key) ? new Date(vars[key]) : fallback);
  env.oneOf = (key, allowed, fallback) => {
    if (!allowed) throw new Error('env.oneOf needs the values that are allowed');
    if (fallback && !allowed.includes(fallback)) throw new Error('env.oneOf: the default is not one of the values that are allowed');
    const value = env(key, fallback);
    return value !== undefined && allowed.includes(value) ? value : fallback;
  };

  const path = {
    sep: native.sep,
    delimiter: native.delimiter,
    join: (...parts) => native.join(parts.map(String)),
    resolve: (...parts) => native.resolve(cwd, parts.map(String)),
    normalize: (p) => native.join([String(p)]),
    dirname: (p) => native.dirname(String(p)),
    basename: (p, ext) => {
      const base = native.basename(String(p));
      return ext && base !== ext && base.endsWith(ext) ? base.slice(0, -ext.length) : base;
    },
    extname: (p) => native.extname(String(p)),
    isAbsolute: (p) => native.isAbsolute(String(p)),
    relative: (from, to) => native.relative(native.resolve(cwd, [String(from)]), native.resolve(cwd, [String(to)])),
  };
  path.posix = path;
  path.default = path;

  const modules = {
    path,
    '@strapi/utils': { env },
    '@strapi/database': { isDatabaseClientKind: (kind) => ['sqlite', 'mysql', 'postgres'].includes(kind) },
    'pg-connection-string': { parse: (text) => native.connection(String(text)) },
    dotenv: { config: () => ({ parsed: {} }) },
  };
  // A stand-in for a module that is not there. Whatever comes of it can be told in the result.
  const mark = (name) => '\u0000module ' + name + '\u0000';
  const unknown = (name) => {
    const it = new Proxy(function () {}, {
      get: (_, key) => {
        if (key === Symbol.toPrimitive || key === 'toJSON' || key === 'toString') return () => mark(name);
        return key === '__esModule' ? false : it;
      },
      set: () => true,
      apply: () => it,
      construct: () => it,
      getPrototypeOf: () => it,
    });
    return it;
  };
  const builtin = (name) => {
    const plain = name.replace(/^node:/, '');
    if (Object.prototype.hasOwnProperty.call(modules, plain)) return modules[plain];
    if (lenient && !native.ofNode(plain)) return unknown(name);
    throw new Error('it needs the module "' + name + '", which is not there without Node');
  };

  const process = {
    env: Object.assign({}, vars), cwd: () => cwd, argv: [], platform: native.platform, versions: {}, emitWarning: () => {},
  };
  const console = {};
  for (const level of ['log', 'info', 'warn', 'error', 'debug', 'trace']) console[level] = () => {};

  const text = (value) =>
    JSON.stringify(value, (_, v) => {
      if (typeof v === 'function') return '\u0000function\u0000';
      // Told from a member that is not there: some settings mean something else then.
      if (v === undefined) return '\u0000undefined\u0000';
      return typeof v === 'bigint' ? String(v) : v;
    });
  const result = (exported) => {
    const value = exported && exported.__esModule ? exported.default : exported;
    const settings = typeof value === 'function' ? value({ env }) : value;
    return settings === undefined ? undefined : text(settings);
  };
  return { builtin, process, console, result };
});
