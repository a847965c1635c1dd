/**
 * Finds the mutants of a source file: small changes of behavior that a person could make by mistake. Only code inside
 * functions is changed, because modules are evaluated once for all mutants.
 */
import { type ESTree, parseSync, Visitor } from "vite";

/** A part of a file, in UTF-16 units. */
export interface Span {
  start: number;
  end: number;
}

/** A change of an expression or a statement. */
export interface Mutation extends Span {
  /** The code, and what it becomes, each in one line. */
  original: string;
  mutated: string;
  /** Code that does the changed instead, for an expression. A statement without it is left out. */
  replacement?: string;
}

const OPPOSITES: Record<string, string> = {
  "<": "<=",
  "<=": "<",
  ">": ">=",
  ">=": ">",
  "===": "!==",
  "!==": "===",
  "+": "-",
  "-": "+",
  "&&": "||",
  "||": "&&",
  "+=": "-=",
  "-=": "+=",
  "??=": "=",
  "++": "--",
  "--": "++",
  min: "max",
  max: "min",
};

const FUNCTIONS = ["FunctionDeclaration", "FunctionExpression", "ArrowFunctionExpression", "PropertyDefinition"];

/**
 * Returns the mutations of a file, in the order of their code, and the bodies of its loops.
 * @throws Error if the code can't be parsed
 */
export function mutationsOf(path: string, code: string): { mutations: Mutation[]; loops: Span[] } {
  const { program, errors } = parseSync(path, code);
  if (errors[0]) throw new Error(`${path} can't be parsed: ${errors[0].message}`);
  const finder = new Finder(code);
  finder.visit(program);
  return { mutations: finder.found, loops: finder.loops };
}

/** More than functions are ever nested. */
const OUTSIDE = 1_000;

class Finder {
  readonly found: Mutation[] = [];
  readonly loops: Span[] = [];
  readonly #code: string;
  /** How many functions are around the code. */
  #depth = 0;
  /** Statements and expressions with mutations that do the same already. */
  readonly #covered = new Set<unknown>();

  constructor(code: string) {
    this.#code = code;
  }

  visit(program: ESTree.Program): void {
    const enter = () => void this.#depth++;
    const exit = () => void this.#depth--;
    const around = Object.fromEntries(
      FUNCTIONS.flatMap((type) => [[type, enter] as const, [`${type}:exit`, exit] as const]),
    );
    const conditional = (node: { test: ESTree.Expression }) => this.#condition(node.test, [true, false]);
    const statement = (node: ESTree.Statement) => this.#leaveOut(node);
    const loop = ({ body }: { body: ESTree.Statement }) => void this.loops.push(body);
    new Visitor({
      ...around,
      BlockStatement: (node) => this.#coverLastReturn(node),
      MethodDefinition: (node) => this.#coverWiring(node),
      IfStatement: (node) => this.#if(node),
      ConditionalExpression: conditional,
      WhileStatement: (node) => {
        this.#condition(node.test, [false]);
        this.loops.push(node.body);
      },
      DoWhileStatement: loop,
      ForStatement: loop,
      ForInStatement: loop,
      ForOfStatement: loop,
      ExpressionStatement: (node) => this.#expression(node),
      ReturnStatement: statement,
      ThrowStatement: statement,
      BreakStatement: statement,
      ContinueStatement: statement,
      BinaryExpression: (node) => this.#binary(node),
      LogicalExpression: (node) => this.#logical(node),
      AssignmentPattern: (node) => this.#add(node.right, this.#text(node), this.#text(node.left), "undefined"),
      AssignmentExpression: ({ left, right, operator }) => this.#flip(left, operator, right),
      UpdateExpression: (node) => this.#update(node),
      CallExpression: (node) => this.#call(node),
      "CallExpression:exit": (node) => {
        if (isAssertion(node)) this.#depth += OUTSIDE;
      },
    }).visit(program);
  }

  #text({ start, end }: ESTree.Span): string {
    return this.#code.slice(start, end);
  }

  #add({ start, end }: ESTree.Span, original: string, mutated: string, replacement?: string): void {
    if (this.#depth <= 0) return;
    const oneLine = (text: string) => text.replace(/\s+/g, " ").trim();
    this.found.push({
      start,
      end,
      original: oneLine(original),
      mutated: oneLine(mutated),
      ...(replacement !== undefined && { replacement }),
    });
  }

  #condition(test: ESTree.Expression, values: boolean[]): void {
    for (const value of values) this.#add(test, `if (${this.#text(test)})`, `if (${value})`, `${value}`);
    this.#covered.add(test);
  }

  /** Leaving out a lone statement below an `if` is the same as a false condition. */
  #if({ test, consequent, alternate }: ESTree.IfStatement): void {
    this.#condition(test, [true, false]);
    const statements = consequent.type === "BlockStatement" ? consequent.body : [consequent];
    if (!alternate && statements.length === 1) this.#covered.add(statements[0]);
  }

  /** A function that returns nothing at its end is no mistake that types allow. */
  #coverLastReturn({ body }: ESTree.BlockStatement): void {
    const last = body.at(-1);
    if (last?.type === "ReturnStatement" && last.argument) this.#covered.add(last);
  }

  /** Types demand that a constructor assigns its fields. */
  #coverWiring({ kind, value }: ESTree.MethodDefinition): void {
    if (kind !== "constructor") return;
    for (const statement of value.body?.body ?? []) {
      if (statement.type !== "ExpressionStatement" || statement.expression.type !== "AssignmentExpression") continue;
      if (/^this\.#?\w+ = /.test(this.#text(statement))) this.#covered.add(statement);
    }
  }

  #expression(node: ESTree.ExpressionStatement): void {
    const { expression } = node;
    if (expression.type === "CallExpression" && (isAssertion(expression) || expression.callee.type === "Super")) return;
    this.#leaveOut(node);
  }

  #leaveOut(node: ESTree.Statement): void {
    if (this.#covered.has(node)) return;
    this.#add(node, this.#text(node), "nothing");
  }

  #binary(node: ESTree.BinaryExpression): void {
    const { left, right, operator } = node;
    if (operator === "+" && [left, right].some((side) => isText(side))) return;
    // The whole of a condition is forced to both values already.
    if (operator.endsWith("==") && this.#covered.has(node)) return;
    this.#flip(left, operator, right);
  }

  #logical({ left, right, operator }: ESTree.LogicalExpression): void {
    const span = { start: left.start, end: right.end };
    if (operator === "??") this.#add(span, this.#text(span), this.#text(left), this.#text(left));
    else this.#flip(left, operator, right);
  }

  /** Exchanges an operator for its opposite. */
  #flip(left: ESTree.Span, operator: string, right: ESTree.Span): void {
    const opposite = OPPOSITES[operator];
    if (!opposite) return;
    const span = { start: left.start, end: right.end };
    const changed = `${this.#operand(left, opposite)} ${opposite} ${this.#operand(right, opposite)}`;
    this.#add(span, this.#text(span), `${this.#text(left)} ${opposite} ${this.#text(right)}`, changed);
  }

  /** Returns an operand as `&&`, `||` and `??` may be mixed. */
  #operand(side: ESTree.Span, operator: string): string {
    return ["&&", "||"].includes(operator) ? `(${this.#text(side)})` : this.#text(side);
  }

  #update(node: ESTree.UpdateExpression): void {
    const { argument, operator, prefix } = node;
    const opposite = OPPOSITES[operator] ?? "";
    const changed = prefix ? `${opposite}${this.#text(argument)}` : `${this.#text(argument)}${opposite}`;
    this.#add(node, this.#text(node), changed, changed);
  }

  /** Assertions stay as they are. */
  #call(node: ESTree.CallExpression): void {
    if (isAssertion(node)) this.#depth -= OUTSIDE;
    const [, name = ""] = /^Math\.(min|max)$/.exec(this.#text(node.callee)) ?? [];
    if (!name) return;
    const changed = `Math.${OPPOSITES[name]}${this.#code.slice(node.callee.end, node.end)}`;
    this.#add(node, this.#text(node), changed, changed);
  }
}

const isAssertion = ({ callee }: ESTree.CallExpression) => callee.type === "Identifier" && callee.name === "assert";

function isText(node: ESTree.Node): boolean {
  if (node.type === "BinaryExpression") return isText(node.left) || isText(node.right);
  return node.type === "TemplateLiteral" || (node.type === "Literal" && typeof node.value === "string");
}
