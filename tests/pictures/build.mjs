// Bundles src/ into FOLDER/app.js and app.css.
import fs from 'node:fs';
import * as esbuild from 'esbuild';

// A file of types that others import a value from, which it does not have.
const typesWithoutValue = {
  name: 'types-without-value',
  setup(build) {
    const filter = /composable\/table\/panelcfg\/x\/types\.gen\.mjs$/;
    build.onLoad({ filter }, ({ path }) => ({
      contents: fs.readFileSync(path, 'utf8') + '\nexport const defaultOptions = {};\n',
      loader: 'js',
    }));
  },
};

// Built as CommonJS; without this its importers get the module in place of the component.
const scrollbars = {
  name: 'scrollbars',
  setup(build) {
    const text = "import all from 'react-custom-scrollbars-2/lib/index.js';\nexport default all.default ?? all;\n";
    build.onResolve({ filter: /^react-custom-scrollbars-2$/ }, () => ({ path: 'scrollbars', namespace: 'component' }));
    build.onLoad({ filter: /.*/, namespace: 'component' }, () => ({ contents: text, resolveDir: process.cwd() }));
  },
};

export async function bundle(folder) {
  await esbuild.build({
    entryPoints: [new URL('src/main.jsx', import.meta.url).pathname],
    outfile: `${folder}/app.js`,
    bundle: true,
    format: 'iife',
    jsx: 'automatic',
    plugins: [typesWithoutValue, scrollbars],
    define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
    loader: { '.svg': 'dataurl', '.woff2': 'dataurl', '.ttf': 'dataurl' },
    mainFields: ['browser', 'module', 'main'],
    alias: {
      'react-router-dom-v5-compat': 'react-router-dom',
      stream: './src/empty.cjs',
      tty: './src/empty.cjs',
      util: './src/empty.cjs',
    },
    logLevel: 'error',
  });
}
