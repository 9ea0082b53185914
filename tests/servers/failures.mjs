// What failed in a report of the conformance runner, and how to see it again.
//
//   node failures.mjs REPORT.json      the exit status is 1 if anything failed, or if no check passed
import { readFileSync } from 'node:fs';

const { checks } = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const failed = checks.filter(({ verdict }) => verdict === 'failed');
for (const { id, over, level, demand, failure } of failed) {
  console.log(`${over ? `${id}@${over}` : id} (${level}): ${demand}`);
  console.log(`  seen: ${failure.seen}`);
  console.log(`  wanted: ${failure.wanted}`);
  for (const line of failure.reproduce.split('\n').filter(Boolean)) console.log(`  ${line}`);
}
const passed = checks.filter(({ verdict }) => verdict === 'passed').length;
if (passed === 0) console.log('No check passed.');
process.exitCode = failed.length > 0 || passed === 0 ? 1 : 0;
