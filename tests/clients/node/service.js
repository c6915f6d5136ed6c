// What the tests of pytest tell these: addresses, keys, the model, and questions for the scripted engine.
export const { real, scripted, key, usedUpKey, model, questions, answer } = JSON.parse(
  process.env.SERVICE,
);

export const HELLO = [{ role: "user", content: "Say hello." }];
export const TOO_LONG = "word ".repeat(9000);

// A tool as its user writes it, and the cities that it was asked for.
export function weatherTool() {
  const asked = [];
  const getWeather = ({ city }) => {
    asked.push(city);
    return `sunny in ${city}`;
  };
  return { asked, getWeather };
}

// Asks until the answer holds, ten seconds at most.
export async function eventually(holds) {
  const end = Date.now() + 10_000;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`${holds} stayed false`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
