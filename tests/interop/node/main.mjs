// Runs every scenario with every JavaScript client and prints one line for each.
//
//     node main.mjs [PART OF A CLIENT'S NAME [PART OF A SCENARIO'S NAME]]
//
// First `plan N`, then N lines `ok - CLIENT: SCENARIO` or `not ok - ...`, in a fixed order.
// Does not know: how the server was started (../run).

import { clients } from './clients.mjs';
import { Failure } from './inbox.mjs';
import { scenarios, Stage } from './scenarios.mjs';

// Milliseconds for one scenario, and how many run at a time. Heart-beats run before the others, where no busy neighbour makes them late.
const limit = 20_000;
const atATime = 4;

const [clientPart = '', scenarioPart = ''] = process.argv.slice(2);
const runs = clients()
  .flatMap((client) => scenarios.map(([scenario, act, need]) => ({ client, scenario, act, need })))
  .filter(({ client, scenario, need }) => client.name.includes(clientPart) && scenario.includes(scenarioPart) && !client.lacks.has(need))
  .map((run, number) => ({ ...run, number, failure: undefined }));

// A library that throws where nobody can catch it: which scenario it was is not known, so no run may call itself good.
process.on('uncaughtException', (thrown) => {
  console.log(`not ok - uncaught in a client: ${thrown.stack.replaceAll('\n', '\n#   ')}`);
  process.exitCode = 1;
});

console.log(`plan ${runs.length}`);
const quiet = runs.filter(({ scenario }) => scenario.startsWith('heart-beat'));
await inParallel(quiet, quiet.length);
await inParallel(runs.filter((run) => !quiet.includes(run)), atATime);
// Without waiting for the timers of a client that hangs.
process.exit(process.exitCode ?? Number(runs.some(({ failure }) => failure !== null)));

async function inParallel(some, atATime) {
  const waiting = [...some];
  const work = async () => {
    for (let run = waiting.shift(); run; run = waiting.shift()) {
      run.failure = await perform(run);
      report();
    }
  };
  await Promise.all(Array.from({ length: atATime }, work));
}

/** The answer is null, or what went wrong. */
async function perform({ client, act, number }) {
  const stage = new Stage(client, `js${number}-${process.pid}`);
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Failure(`not over within ${limit / 1000} s`)), limit); });
  try {
    await Promise.race([act(stage), late]);
    return null;
  } catch (failure) {
    return failure instanceof Failure ? failure.message : failure.stack;
  } finally {
    clearTimeout(timer);
    stage.clear();
  }
}

/** Prints what is over and was not printed yet, in the order of the plan. */
function report() {
  for (const run of runs) {
    if (run.failure === undefined) return;
    if (run.printed) continue;
    run.printed = true;
    const name = `${run.client.name}: ${run.scenario}`;
    console.log(run.failure === null ? `ok - ${name}` : `not ok - ${name}\n#   ${run.failure.replaceAll('\n', '\n#   ')}`);
  }
}
