// The league table, in Markdown, of reports that the conformance runner wrote.
//
//   node table.mjs FOLDER      reads NAME.json of every line of FOLDER/servers ("NAME<tab>server<tab>version"), in that order
//
// NAME.lines, of another run against the same server, shows which checks do not come to the same every time: they are named on
// standard error, and are as NAME.json has them in the table.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = process.argv[2];
const read = (name) => readFileSync(join(folder, name), 'utf8');

const entries = read('servers')
  .split('\n')
  .filter(Boolean)
  .map((line) => line.split('\t'))
  .map(([name, server, version]) => ({ name, server, version, report: JSON.parse(read(`${name}.json`)) }));

for (const suite of [...new Set(entries.map(({ report }) => report.suite))]) {
  console.log(`### ${suite}\n`);
  console.log('| server | version | musts held | shoulds | mays | fails most in |');
  console.log('|---|---|---|---|---|---|');
  for (const { server, version, report } of entries.filter((entry) => entry.report.suite === suite)) {
    const { must, should, may } = report.levels;
    console.log(`| ${[server, version, held(must), held(should), held(may), worst(report.groups)].join(' | ')} |`);
  }
  console.log();
}
for (const { name, report } of entries) unstable(name, report);

// A server that does not claim to have a thing is not judged for it.
function held({ passed, failed, not_offered: notOffered }) {
  const judged = passed + failed;
  if (judged === 0) return 'none judged';
  return `${passed} of ${judged}${notOffered > 0 ? ` (${notOffered} not offered)` : ''}`;
}

function worst(groups) {
  const failing = groups.filter(({ score }) => score.failed > 0);
  failing.sort((one, other) => other.score.failed - one.score.failed);
  return failing.slice(0, 3).map(({ name, score }) => `${name} (${score.failed})`).join(', ') || 'nothing';
}

function unstable(name, { checks }) {
  if (!existsSync(join(folder, `${name}.lines`))) return;
  const before = new Map(read(`${name}.lines`).split('\n').filter(Boolean).map((line) => line.split(/ +/).reverse()));
  for (const { id, over, verdict } of checks) {
    const check = over ? `${id}@${over}` : id;
    if (before.get(check) !== verdict) console.error(`${name}: ${check} was ${before.get(check)}, and then ${verdict}`);
  }
}
