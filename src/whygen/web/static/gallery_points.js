/**
 * The numbers of all anchors, which arrive as one block of bytes, and what follows from them by other thresholds or
 * filters. Groups are counted here by the rule that the report counts by (anchors/groups.py); a test holds both roads
 * to one number.
 */

const TYPES = { uint8: Uint8Array, uint16: Uint16Array, float64: Float64Array };
/** Codes of the groups, as results/anchors.py has them. */
const LOW = 3;
const BELOW = 4;
/** How an anchor's group changed from one model to another beyond noise, by its place in the array "change". */
export const CHANGES = ["unchanged", "learned", "forgotten", "moved"];

/**
 * Read the block: the length of the head in 4 bytes, the head as JSON, the arrays.
 * @param {ArrayBuffer} block
 * @returns {Points}
 */
export function unpack(block) {
  const length = new DataView(block).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(block, 4, length)));
  const arrays = new Map(
    head.arrays.map((each) => [each.name, new TYPES[each.type](block, 4 + length + each.start, each.length)]));
  return new Points(head, arrays);
}

/** @param {string} address @returns {Promise<Points>} */
export async function load(address) {
  const answer = await fetch(address);
  if (!answer.ok) {
    const told = await answer.json().catch(() => ({}));
    throw new Error(told.error ?? `The viewer answered ${answer.status}.`);
  }
  return unpack(await answer.arrayBuffer());
}

export class Points {
  constructor(head, arrays) {
    this.head = head;
    this.arrays = arrays;
    this.n = head.n;
    this.reported = arrays.get("codes");
    this.codes = this.reported;
    this.values = head.criteria.map((each) => arrays.get(`value ${each.name}`));
  }

  /** What can stand along an axis: criteria first. */
  get columns() {
    return [...this.arrays.keys()].filter((name) => /^(value |flip rate|p$|p of|p memorised|figure )/.test(name));
  }

  /** The thresholds of the report, by criterion. */
  get start() {
    return Object.fromEntries(this.head.criteria.map((each) => [each.name, each.threshold]));
  }

  /** Where the threshold of a criterion can stand, ascending; null: anywhere. */
  steps(name) {
    return this.arrays.get(`steps ${name}`) ?? null;
  }

  /** The place where a threshold stands that is moved to a value: the reference value at or below it. */
  snap(name, value) {
    const steps = this.steps(name);
    return steps ? steps[Math.max(0, after(steps, value) - 1)] : value;
  }

  /**
   * Put every anchor into its group by these thresholds; those of the report give back the report's own groups.
   * @param {Object<string, number>} thresholds by criterion
   */
  regroup(thresholds) {
    const moved = this.head.criteria.some((each) => thresholds[each.name] !== each.threshold);
    this.codes = moved ? this.#grouped(thresholds) : this.reported;
  }

  #grouped(thresholds) {
    const { criteria } = this.head;
    const alone = new Set(criteria.map((each) => each.kind)).size === 1;
    const codes = new Uint8Array(this.n);
    for (let row = 0; row < this.n; row++) {
      let intrinsic = 0;
      let extrinsic = 0;
      let below = false;
      let belowExtrinsic = false;
      for (let at = 0; at < criteria.length; at++) {
        const { name, kind, strict, floor } = criteria[at];
        const value = this.values[at][row];
        const high = strict ? value < thresholds[name] : value <= thresholds[name];
        if (!high && kind === "intrinsic") intrinsic = 1;
        if (!high && kind === "extrinsic") extrinsic = 1;
        if (floor !== null && value < floor) {
          below = true;
          if (kind === "extrinsic") belowExtrinsic = true;
        }
      }
      let code = alone ? (intrinsic || extrinsic ? LOW : 0) : 2 * intrinsic + extrinsic;
      if (code === 0 && below) code = BELOW;
      else if (code === 2 && !alone && belowExtrinsic) code = BELOW;
      codes[row] = code;
    }
    return codes;
  }

  /** How many anchors each group holds, copies of earlier ones left out as in the report. */
  counts() {
    const counts = new Map(this.head.groups.map((each) => [each.code, 0]));
    const copies = this.arrays.get("copies");
    let total = 0;
    for (let row = 0; row < this.n; row++) {
      if (copies?.[row]) continue;
      counts.set(this.codes[row], counts.get(this.codes[row]) + 1);
      total++;
    }
    return { counts, total };
  }

  /**
   * Which anchors a filter leaves: 1 for each of them.
   * @param {{groups: Set<number>, label: string, role: string, flip: number, p: number, copies: string, back: string, change: string}} filter
   */
  passing(filter) {
    const marks = new Uint8Array(this.n);
    const at = (name) => this.arrays.get(name);
    const label = this.head.labels.indexOf(filter.label);
    const role = this.head.roles.indexOf(filter.role);
    const [flips, p, copies, back, changed] = ["flip rate", "p", "copies", "comes back", "change"].map(at);
    const change = CHANGES.indexOf(filter.change);
    for (let row = 0; row < this.n; row++) {
      marks[row] =
        (!filter.groups.size || filter.groups.has(this.codes[row])) &&
        (label < 0 || at("labels")[row] === label) &&
        (role < 0 || at("roles")[row] === role) &&
        (filter.flip === "" || (filter.flip < 0 ? flips[row] > -filter.flip : flips[row] <= filter.flip)) &&
        (filter.p === "" || p[row] <= filter.p) &&
        (!filter.copies || (filter.copies === "only") === Boolean(copies[row])) &&
        (!filter.back || (filter.back === "yes") === Boolean(back[row])) &&
        (!changed || !filter.change || (change < 0 ? changed[row] > 0 : changed[row] === change))
          ? 1 : 0;
    }
    return marks;
  }

  /** Rows, the one farthest above a threshold first; of texts the one that is told most surely. */
  worstFirst(rows, thresholds) {
    const order = this.arrays.get("order");
    if (order) return [...rows].sort((one, other) => (order[other] > order[one]) - (order[other] < order[one]) || one - other);
    const names = this.head.criteria.map((each) => each.name);
    const beyond = (row) => {
      let most = -Infinity;
      for (let at = 0; at < names.length; at++) {
        const limit = thresholds[names[at]];
        most = Math.max(most, (this.values[at][row] - limit) / Math.max(Math.abs(limit), 1e-12));
      }
      return most;
    };
    const keyed = rows.map((row) => [beyond(row), row]);
    return keyed.sort((one, other) => other[0] - one[0] || one[1] - other[1]).map((each) => each[1]);
  }
}

/** The first place in ascending numbers whose number is above the value. */
export function after(sorted, value) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}
