/// <reference types="node" />
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";

const CORE = "node_modules/@mantine/core";
const read = (path: string) => readFileSync(path, "utf8");

/** The files below a folder that may import components. */
function sources(folder: string): string[] {
  const paths = readdirSync(folder, { recursive: true, encoding: "utf8" }).map((path) => join(folder, path));
  return paths.filter((path) => /\.(tsx?|mjs)$/.test(path));
}

/** The names of each import that fits, and what stands behind `from`. */
function imports(path: string, line: RegExp): [names: string[], from: string][] {
  return [...read(path).matchAll(line)].map(([, names = "", from = ""]) => [names.match(/\w+/g) ?? [], from]);
}

/** The components with styles that are used, by a page or by another component. */
function styled(): string[] {
  const exported = new Map(
    imports(`${CORE}/esm/index.mjs`, /import \{([^}]*)\} from "\.([^"]*)"/g).flatMap(([names, from]) =>
      names.map((name) => [name, `${CORE}/esm${from}`]),
    ),
  );
  const users = ["src", "node_modules/@mantine/notifications/esm"].flatMap(sources);
  const names = users.flatMap((path) =>
    imports(path, /import \{([^}]*)\} from "@mantine\/core"/g).flatMap(([each]) => each),
  );
  const ahead = names.flatMap((name) => exported.get(name) ?? []);
  const found = new Set<string>();
  for (let path = ahead.pop(); path !== undefined; path = ahead.pop()) {
    if (found.has(path)) continue;
    found.add(path);
    for (const [, from] of imports(path, /import (.*) from "(\.[^"]*)"/g)) ahead.push(join(dirname(path), from));
  }
  return [...found].flatMap((path) => path.match(/(\w+)\.module\.mjs$/)?.[1] ?? []);
}

const loaded = [...read("src/ui/components.css").matchAll(/styles\/([\w-]+)\.css/g)].map(([, name = ""]) => name);
const FOR_ALL = ["baseline", "default-css-variables", "global"];

test("the styles of exactly the components that are used are loaded", () => {
  expect(loaded.toSorted()).toEqual([...FOR_ALL, ...styled()].toSorted());
});

test("the styles of components come in the order of the library, where the later one wins", () => {
  const every = read(`${CORE}/styles.css`);
  const places = loaded.map((name) => every.indexOf(read(`${CORE}/styles/${name}.css`).trim()));
  expect(places[0]).toBe(0);
  expect(places).toEqual(places.toSorted((one, other) => one - other));
});
