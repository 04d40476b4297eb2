// judge.mjs TOOL FILE: reads what a linter found, says it in a line, and ends with 1 when it is more than is allowed.
import { readFileSync } from "node:fs";

const [tool, file] = process.argv.slice(2);
const text = readFileSync(file, "utf8");
// The tools write JSON among other lines.
const found = JSON.parse(text.slice(text.search(/[[{]/), Math.max(text.lastIndexOf("]"), text.lastIndexOf("}")) + 1));

const judges = {
  redocly: () => {
    const { errors, warnings } = found.totals;
    found.problems.slice(0, 20).forEach((one) => console.log(`  ${one.ruleId}: ${one.message} ${one.location[0]?.pointer ?? ""}`));
    return [`redocly recommended-strict: ${errors} errors, ${warnings} warnings`, errors + warnings === 0];
  },
  spectral: () => {
    const owasp = found.filter((one) => String(one.code).startsWith("owasp:"));
    const oas = found.filter((one) => !owasp.includes(one) && one.severity <= 1);
    const errors = owasp.filter((one) => one.severity === 0);
    [...oas, ...errors].slice(0, 20).forEach((one) => console.log(`  ${one.code}: ${one.message} #/${one.path.join("/")}`));
    const said = `spectral oas: ${oas.length} errors and warnings; owasp: ${errors.length} errors, ${owasp.length - errors.length} warnings`;
    return [said, oas.length + errors.length === 0];
  },
  ibm: () => {
    const { categorizedSummary: score, scoringData: rules } = found.impactScore;
    const worst = [...rules].sort((one, other) => other.demerits.total - one.demerits.total).slice(0, 5);
    const names = worst.map((rule) => `${rule.rule} ${rule.demerits.total}`).join(", ");
    const good = score.overall >= 75;
    return [`ibm: overall ${score.overall} of 100 (75 needed)${good ? "" : `; most by ${names}`}`, good];
  },
};
const [said, good] = judges[tool]();
console.log(said);
process.exitCode = good ? 0 : 1;
