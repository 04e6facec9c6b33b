// @ts-check
/**
 * Kotae's chat on a company's website: one ES module, no dependency, no build step.
 *
 *   <script type="module" src="https://kotae.example/widget.js" data-lang="en" data-identity="JWT"></script>
 *
 * or place `<kotae-chat lang="en"></kotae-chat>` in the page yourself. The page speaks to it through
 * `window.kotae` (the element): `open()`, `close()`, `identify(jwt)`, `logout()`, `on(event, fn)`.
 *
 * The file reads from the bottom of things to the top: words, small DOM helpers, Markdown, what is kept in the browser,
 * the log and its delivery (`Thread`, which knows no DOM), the drawing of message bodies, the element.
 */

/**
 * @typedef {{article_id: string, title: string, url: string, heading?: string|null, lang?: string, updated?: string|null, source?: string}} Citation
 * @typedef {{id: string, label: string}} Choice
 * @typedef {{label: string, value: string, used?: number|null}} Fact
 * @typedef {{id: string, title: string, done: boolean, current?: boolean, due?: string|null, overdue?: boolean, article?: Citation|null}} Step
 * @typedef {{type: 'text', text: string}} TextBody
 * @typedef {{type: 'answer', quote: string, citations: Citation[], confidence: number, note?: string|null, alternatives?: Citation[]}} AnswerBody
 * @typedef {{type: 'choices', text: string, choices: Choice[]}} ChoicesBody
 * @typedef {{type: 'account', text: string, facts: Fact[]}} AccountBody
 * @typedef {{type: 'checklist', text: string, steps: Step[], percent: number}} ChecklistBody
 * @typedef {{type: 'handover', status: 'queued'|'claimed'|'returned'|'resolved', text: string, csm?: string|null, expected_at?: string|null}} HandoverBody
 * @typedef {{type: 'survey', survey: 'csat'|'nps', text: string, low: number, high: number}} SurveyBody
 * @typedef {TextBody|AnswerBody|ChoicesBody|AccountBody|ChecklistBody|HandoverBody|SurveyBody} Body
 * @typedef {{seq: number, sender: 'customer'|'bot'|'csm'|'system', name?: string|null, body: Body, client_id?: string|null, created_at: string}} Message
 * @typedef {{client_id: string, text: string, choice?: string, at: number, failed?: string}} Outgoing
 * @typedef {{conversation_id: string, token: string, who: string|null}} State
 * @typedef {string|(() => string|Promise<string>)} Identity a JWT, or a function that fetches a fresh one
 */

/** Delays in milliseconds. Exported so that a test, or a company with unusual networks, can change them. */
export const TIMING = {
  open: 8000, // a WebSocket that has not opened by then is blocked
  ping: 25000, // silence after which we ask whether the line still stands
  pong: 8000, // and how long we wait for the answer
  ack: 6000, // a message that is not acknowledged by then is sent again
  reply: 9000, // no reply by then: look whether one got lost
  gap: 150, // a hole in the sequence: wait this long for a late frame, then ask for it
  poll: 3000, // REST polling where WebSocket is blocked
  pollHidden: 20000,
  retry: 600, // first reconnect; doubles, with full jitter
  retryMax: 30000,
  upgrade: 300000, // while polling: try WebSocket again
  request: 15000,
  typing: 3000, // say "typing" at most this often
  typingShown: 6000, // and believe it for this long
};

/** WebSockets refused in a row before falling back to REST. */
const REFUSALS = 2;
/** The longest message the composer takes. */
const MAX_TEXT = 4000;
/** Confidence (estimated chance that the quote answers) from which each wording is used. */
const CONFIDENCE = /** @type {const} */ ([[0.9, 'sure'], [0.7, 'likely'], [0, 'maybe']]);

// ---------------------------------------------------------------------------------------------------------- words

/** The languages of the catalogue. */
const TONGUES = /** @type {const} */ (['en', 'ja']);
/** Every text of the widget, in each of them; `{0}` and `{1}` are where values go. */
const WORDS = {
  launcher: ['Open chat', 'チャットを開く'],
  launcherUnread: ['Open chat, {0} unread', 'チャットを開く（未読{0}件）'],
  panel: ['Chat with {0}', '{0}のチャット'],
  help: ['Help', 'ヘルプ'],
  close: ['Close chat', 'チャットを閉じる'],
  back: ['Back', '戻る'],
  log: ['Conversation', '会話'],
  say: ['Your message', 'メッセージ'],
  placeholder: ['Ask a question…', '質問を入力してください'],
  send: ['Send', '送信'],
  you: ['You', 'お客様'],
  bot: ['Assistant', 'アシスタント'],
  csm: ['Customer success', 'カスタマーサクセス'],
  system: ['Note', 'お知らせ'],
  today: ['Today', '今日'],
  welcome: ['How can we help?', 'ご質問をどうぞ'],
  welcomeMore: ['Ask in your own words. Answers come from our help articles, and a person joins when you need one.', '普段の言葉でお尋ねください。ヘルプ記事からお答えし、必要なときは担当者が対応します。'],
  withBot: ['Answers from our articles', 'ヘルプ記事からお答えします'],
  withCsm: ['You are talking with {0}', '{0}が対応しています'],
  typing: ['{0} is typing', '{0}が入力しています'],
  newBelow: ['New messages', '新しいメッセージ'],
  connecting: ['Connecting…', '接続しています…'],
  offline: ['No connection. Your messages are kept and sent later.', '接続がありません。メッセージは保存され、後で送信されます。'],
  online: ['Connected again', '再接続しました'],
  started: ['The chat could not be started. Trying again…', 'チャットを開始できませんでした。再試行しています…'],
  slow: ['That was quick! Your message is sent in a moment.', '送信が続いたため、少し待ってから送信します。'],
  sending: ['Sending…', '送信中…'],
  sent: ['Sent', '送信済み'],
  read: ['Read', '既読'],
  failed: ['Not sent: {0}', '送信できませんでした'],
  retry: ['Try again', '再送する'],
  discard: ['Remove', '削除する'],
  sure: ['Very likely your answer', '回答として有力です'],
  likely: ['Probably your answer', 'おそらく該当します'],
  maybe: ['May be your answer', '参考になるかもしれません'],
  from: ['From', '出典'],
  updated: ['updated {0}', '{0}更新'],
  community: ['from the community', 'コミュニティより'],
  helpful: ['Did this help?', '役に立ちましたか？'],
  yes: ['Yes, this helped', 'はい、役に立ちました'],
  no: ['No, this did not help', 'いいえ、役に立ちませんでした'],
  thanks: ['Thank you for telling us.', 'ご回答ありがとうございます。'],
  also: ['Other articles', '関連する記事'],
  article: ['Article', '記事'],
  loading: ['Loading…', '読み込んでいます…'],
  openSite: ['Open on the help site', 'ヘルプサイトで開く'],
  newTab: ['opens in a new tab', '新しいタブで開きます'],
  search: ['Search the help articles', 'ヘルプ記事を検索'],
  found: ['Articles found: {0}', '{0}件の記事が見つかりました'],
  few: ['Type a few words.', '言葉を入力してください。'],
  none: ['Nothing found. Try other words, or ask in the chat.', '見つかりませんでした。別の言葉で検索するか、チャットでお尋ねください。'],
  askChat: ['Ask this in the chat', 'チャットで質問する'],
  used: ['{0} used', '{0}使用中'],
  progress: ['{0}% done', '{0}%完了'],
  done: ['Done', '完了'],
  current: ['Next', '次のステップ'],
  due: ['by {0}', '期限：{0}'],
  overdue: ['was due {0}', '期限超過：{0}'],
  queued: ['Passed on to a person', '担当者に引き継ぎました'],
  claimed: ['A person is here', '担当者が対応しています'],
  returned: ['Back with the assistant', 'アシスタントに戻りました'],
  resolved: ['Resolved', '解決済み'],
  expected: ['Expected by {0}', '{0}までに対応予定'],
  email: ['Your e-mail address', 'メールアドレス'],
  emailLeave: ['Leave your e-mail address', 'メールアドレスを登録'],
  emailWhy: ['Where can we reach you if you leave this page?', 'ページを離れた場合のご連絡先を教えてください。'],
  emailSave: ['Save', '保存'],
  emailSaved: ['We will write to {0}.', '{0}にご連絡します。'],
  emailBad: ['Please check the address.', 'メールアドレスをご確認ください。'],
  trouble: ['That did not work. Please try again.', 'うまくいきませんでした。もう一度お試しください。'],
  score: ['{0} of {1}', '{1}段階中{0}'],
  csatLow: ['Poor', '不満'],
  csatHigh: ['Great', '満足'],
  npsLow: ['Not likely', '可能性が低い'],
  npsHigh: ['Very likely', '可能性が高い'],
  comment: ['Anything to add? (optional)', 'ご意見があればお聞かせください（任意）'],
  submit: ['Send rating', '評価を送信'],
  rated: ['Thank you for your rating.', '評価をありがとうございます。'],
  unsupported: ['This message cannot be shown here.', 'このメッセージはここでは表示できません。'],
  noFiles: ['Files cannot be sent in this chat.', 'このチャットではファイルを送信できません。'],
  tooLong: ['{0} characters too long', '{0}文字超過しています'],
  menu: ['More', 'その他'],
  transcript: ['Download this conversation', 'この会話をダウンロード'],
  sound: ['Sound for new messages', '新着メッセージの通知音'],
  hello: ['Hello! Can we help?', 'こんにちは。何かお困りですか？'],
  dismiss: ['Dismiss', '閉じる'],
};
/** @typedef {Record<keyof typeof WORDS, string>} Words */
/** @typedef {typeof TONGUES[number]} Lang */

/** @param {Lang} tongue */
const wordsIn = (tongue) => /** @type {Words} */ (Object.fromEntries(Object.entries(WORDS).map(([name, said]) => [name, said[TONGUES.indexOf(tongue)]])));

/**
 * A text of the catalogue with its values in place.
 * @param {string} words
 * @param {...(string|number)} values
 */
const put = (words, ...values) => words.replace(/\{(\d)\}/g, (_, n) => String(values[n]));

// -------------------------------------------------------------------------------------------------------- helpers

/**
 * Runs page-facing code so that nothing thrown in it reaches the host page.
 * @template {any[]} A
 * @param {(...args: A) => any} fn
 * @returns {(...args: A) => any}
 */
function guard(fn) {
  return (...args) => {
    try {
      const result = fn(...args);
      if (result instanceof Promise) result.catch(warn);
      return result;
    } catch (error) {
      warn(error);
    }
  };
}

/** @param {unknown} error */
function warn(error) {
  console.warn('[kotae]', error);
}

/** @returns {string} a random id; `randomUUID` exists in secure contexts only */
const uuid = () => crypto.randomUUID?.() ?? [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');

/**
 * A DOM element. Strings become text nodes, so data is never parsed as HTML; functions become guarded listeners. A button
 * submits its form only where it says so.
 * @param {string} what its tag and classes: `div.card.small`
 * @param {...(Node|string|null|undefined|false|Record<string, string|number|boolean|null|undefined|((event: any) => any)>)} parts
 *   what it holds, and before it, where there are any, its attributes and listeners
 * @returns {HTMLElement}
 */
function h(what, ...parts) {
  const [tag, ...classes] = what.split('.');
  const node = document.createElement(tag);
  if (classes.length) node.className = classes.join(' ');
  if (tag === 'button') node.setAttribute('type', tag);
  for (const part of parts) {
    if (typeof part === 'string' || part instanceof Node) node.append(part);
    else for (const [name, value] of Object.entries(part || {})) {
      if (typeof value === 'function') node.addEventListener(name.slice(2), guard(value));
      else if (value || value === 0 || value === '') node.setAttribute(name, value === true ? '' : String(value));
    }
  }
  return node;
}

const ICONS = {
  chat: 'M4 5.5h16v11H12l-4.5 3.5v-3.5H4z', close: 'M6 6l12 12M18 6L6 18', down: 'M5 9l7 7 7-7', back: 'M14 5l-7 7 7 7', send: 'M4 12l16-7-6 15-3-6z',
  up: 'M7 21V10l5-7c1.5 0 2 1 2 2.5l-.5 3.5H20l-1.5 12zM7 10H3v11h4', check: 'M5 12.5l4.5 4.5L19 7.5', person: 'M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 20.5c1-4 4-5.5 7.5-5.5s6.5 1.5 7.5 5.5',
  page: 'M6 3h8l4 4v14H6zM14 3v4h4M9 12h6M9 16h6', arrow: 'M9 5l7 7-7 7', out: 'M14 4h6v6M20 4l-9 9M18 14v6H4V6h6', search: 'M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM15.5 15.5L20 20', more: 'M4 12a1 1 0 1 0 2 0 1 1 0 1 0-2 0m7 0a1 1 0 1 0 2 0 1 1 0 1 0-2 0m7 0a1 1 0 1 0 2 0 1 1 0 1 0-2 0',
};

/**
 * @param {keyof typeof ICONS} name
 * @param {string} [extra] a further class
 * @returns {Element}
 */
function icon(name, extra = '') {
  const [svg, path] = ['svg', 'path'].map((tag) => document.createElementNS('http://www.w3.org/2000/svg', tag));
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  svg.setAttribute('class', `icon ${extra}`);
  path.setAttribute('d', ICONS[name]);
  svg.append(path);
  return svg;
}

/**
 * A link we are willing to follow, or null.
 * @param {string} href
 * @param {string} [base]
 */
function safeUrl(href, base) {
  try {
    const url = new URL(href, base || location.href);
    return ['http:', 'https:', 'mailto:', 'tel:'].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

/**
 * A link that opens a new tab, without handing it this page; plain text where the address is not one we follow.
 * @param {string} href
 * @param {(Node|string)[]} children
 * @param {string} [base]
 */
function link(href, children, base) {
  const url = safeUrl(href, base);
  return url ? h('a', { href: url, target: '_blank', rel: 'noopener noreferrer' }, ...children) : h('span', ...children);
}

// ------------------------------------------------------------------------------------------------------- Markdown

/**
 * Markdown as DOM: paragraphs, headings, lists, quotes, code, tables, links, emphasis. Nothing else has a way in: raw
 * HTML stays text, and no string is ever parsed by the browser.
 * @param {string} text
 * @param {string} [base] what relative links resolve against
 * @returns {DocumentFragment}
 */
export function markdown(text, base) {
  const out = document.createDocumentFragment();
  blocks(text.replace(/\r\n?/g, '\n').replace(/\t/g, '    ').split('\n'), out, base, 0);
  return out;
}

const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])(?: +|$)/;
const FENCE = /^ {0,3}(```+|~~~+)\s*([\w-]*)/;
const TABLE_RULE = /^ *\|?(?: *:?-+:? *\|)+ *:?-*:? *$/;
const BLOCK = /^ {0,3}(#{1,6} |>|```|~~~|(?:[-*_] *){3,}$)/;

/**
 * @param {string[]} lines
 * @param {Node} out
 * @param {string|undefined} base
 * @param {number} depth
 */
function blocks(lines, out, base, depth) {
  let at = 0;
  const inner = (/** @type {string[]} */ part, /** @type {HTMLElement} */ node) => (blocks(part, node, base, depth + 1), node);
  while (at < lines.length) {
    const line = lines[at];
    if (!line.trim()) { at += 1; continue; }
    const fence = FENCE.exec(line);
    const heading = /^ {0,3}(#{1,6}) +(.*?)(?: +#+)? *$/.exec(line);
    if (fence) {
      const end = lines.findIndex((other, i) => i > at && other.trim().startsWith(fence[1]));
      const stop = end < 0 ? lines.length : end;
      out.appendChild(codeBlock(lines.slice(at + 1, stop).join('\n')));
      at = stop + 1;
    } else if (heading) {
      out.appendChild(h('h4', ...inline(heading[2], base)));
      at += 1;
    } else if (/^ {0,3}([-*_])( *\1){2,} *$/.test(line)) {
      out.appendChild(h('hr'));
      at += 1;
    } else if (/^ {0,3}>/.test(line) && depth < 6) {
      const from = at;
      while (at < lines.length && /^ {0,3}>/.test(lines[at])) at += 1;
      out.appendChild(inner(lines.slice(from, at).map((one) => one.replace(/^ {0,3}> ?/, '')), h('blockquote')));
    } else if (ITEM.test(line) && depth < 6) {
      at = list(lines, at, out, inner);
    } else if (line.includes('|') && TABLE_RULE.test(lines[at + 1] || '')) {
      const from = at;
      while (at < lines.length && lines[at].includes('|')) at += 1;
      out.appendChild(table(lines.slice(from, at), base));
    } else {
      const from = at;
      do at += 1; while (at < lines.length && lines[at].trim() && !BLOCK.test(lines[at]) && !ITEM.test(lines[at]));
      out.appendChild(h('p', ...inline(lines.slice(from, at).map((one) => one.trimStart()).join('\n'), base)));
    }
  }
}

/** @param {string} text */
function codeBlock(text) {
  // Scrolls sideways, so the keyboard must be able to reach it.
  return h('pre', { tabindex: 0 }, h('code', text));
}

/**
 * @param {string[]} lines
 * @param {number} at
 * @param {Node} out
 * @param {(part: string[], node: HTMLElement) => HTMLElement} inner
 * @returns {number} the first line after the list
 */
function list(lines, at, out, inner) {
  const first = /** @type {RegExpExecArray} */ (ITEM.exec(lines[at]));
  const ordered = /\d/.test(first[2]);
  const start = parseInt(first[2], 10);
  let loose = false;
  const node = h(ordered ? 'ol' : 'ul', { start: ordered && start !== 1 ? start : null });
  while (at < lines.length) {
    const item = ITEM.exec(lines[at]);
    if (!item || /\d/.test(item[2]) !== ordered) break;
    const indent = item[0].length;
    const part = [lines[at].slice(indent)];
    at += 1;
    while (at < lines.length) {
      const line = lines[at];
      const blank = !line.trim();
      const indented = line.search(/\S/) >= Math.min(indent, 2) && line.search(/\S/) > item[1].length;
      if (blank ? !(lines[at + 1] || '').startsWith('  ') : !indented && (ITEM.test(line) || BLOCK.test(line) || !lines[at - 1].trim())) break;
      part.push(blank ? '' : line.slice(Math.min(indent, Math.max(line.search(/\S/), 0))));
      at += 1;
    }
    loose ||= part.includes('');
    node.append(inner(part, h('li')));
    while (at < lines.length && !lines[at].trim() && ITEM.test(lines[at + 1] || '')) { at += 1; loose = true; }
  }
  // In a tight list the text sits in the item itself.
  if (!loose) for (const { firstElementChild: first } of node.children) if (first?.tagName === 'P') first.replaceWith(...first.childNodes);
  out.appendChild(node);
  return at;
}

/**
 * @param {string[]} lines
 * @param {string|undefined} base
 */
function table(lines, base) {
  const cells = (/** @type {string} */ line) => line.trim().replace(/^\||\|$/g, '').split(/(?<!\\)\|/).map((cell) => cell.trim().replace(/\\\|/g, '|'));
  const row = (/** @type {string} */ line, /** @type {string} */ tag) =>
    h('tr', ...cells(line).map((cell) => h(tag, tag === 'th' ? { scope: 'col' } : {}, ...inline(cell, base))));
  return h('div.wide', { tabindex: 0 },
    h('table', h('thead', row(lines[0], 'th')), h('tbody', ...lines.slice(2).map((line) => row(line, 'td')))));
}

const INLINE = new RegExp([
  '\\\\([!-/:-@[-`{-~])', // 1: an escaped sign
  '(`+)(.+?)\\2(?!`)', // 2, 3: code
  '(!?)\\[((?:\\\\.|[^\\[\\]\\\\])*)\\]\\((?:<([^<>\\n]*)>|([^\\s()]*(?:\\([^\\s()]*\\)[^\\s()]*)*))(?:\\s+["\'(][^"\')]*["\')])?\\)', // 4 image, 5 words, 6|7 address
  '<((?:https?:\\/\\/|mailto:)[^\\s<>]+)>', // 8: an address in angle brackets
  '(\\*\\*|__)(?=\\S)(.+?[*_]*)(?<=\\S)\\9', // 9, 10: strong
  '(\\*|(?<![\\w])_)(?=\\S)(.+?)(?<=\\S)(?:\\11)(?!\\w)', // 11, 12: emphasis
  '~~(?=\\S)(.+?)~~', // 13: struck out
  '(https?:\\/\\/[^\\s<>()"\'、。）」]*[^\\s<>()"\'、。）」.,:;!?])', // 14: a bare address
  '(<br *\\/?>| {2,}\\n|\\\\\\n)', // 15: a line break
].join('|'), 'gs');

/**
 * @param {string} text
 * @param {string} [base]
 * @returns {(Node|string)[]}
 */
function inline(text, base) {
  /** @type {(Node|string)[]} */
  const out = [];
  let at = 0;
  for (const found of text.matchAll(INLINE)) {
    if (found.index > at) out.push(text.slice(at, found.index));
    at = found.index + found[0].length;
    out.push(span(found, base));
  }
  if (at < text.length) out.push(text.slice(at));
  return out;
}

/**
 * @param {RegExpMatchArray} found a match of INLINE
 * @param {string} [base]
 * @returns {Node|string}
 */
function span(found, base) {
  const [, sign, , code, image, words, angled, address, auto, , strong, , emphasis, struck, bare, rest] = found;
  if (sign) return sign;
  if (code) return h('code', code.replace(/^ (.+) $/s, '$1'));
  // Images are not loaded: a host page's Content Security Policy may forbid them, and they would tell a third party.
  if (words !== undefined) return image ? words : link((angled ?? address).replace(/\\(.)/g, '$1'), inline(words, base), base);
  if (auto || bare) return link(auto || bare, [(auto || bare).replace(/^mailto:/, '')], base);
  if (strong) return h('strong', ...inline(strong, base));
  if (emphasis) return h('em', ...inline(emphasis, base));
  if (struck) return h('s', ...inline(struck, base));
  return rest ? h('br') : found[0];
}

/** Elements an article may have; anything else is replaced by what it holds. */
const ALLOWED = new Set('P UL OL LI A STRONG B EM I S DEL CODE PRE BLOCKQUOTE TABLE THEAD TBODY TR TH TD HR BR KBD SUB SUP DL DT DD H1 H2 H3 H4 H5 H6 IMG'.split(' '));
/** Elements whose contents are not text for a reader. */
const DROPPED = new Set('SCRIPT STYLE TEMPLATE IFRAME OBJECT NOSCRIPT SVG MATH SELECT TEXTAREA TITLE'.split(' '));

/**
 * An article's HTML as DOM of ours: parsed into an inert document, then copied element by element by an allow-list.
 * @param {string} html
 * @param {string} base what relative links resolve against
 * @returns {DocumentFragment}
 */
export function article(html, base) {
  const out = document.createDocumentFragment();
  copy(new DOMParser().parseFromString(/** @type {any} */ (trusted(html)), 'text/html').body, out, base);
  return out;
}

/** @type {{createHTML(text: string): unknown}|undefined} */
let policy;

/**
 * On a page that requires Trusted Types the parser takes no plain string. What it parses stays inert and is copied.
 * @param {string} html
 */
function trusted(html) {
  const types = /** @type {any} */ (globalThis).trustedTypes;
  if (!types) return html;
  policy ??= types.createPolicy('kotae', { createHTML: (/** @type {string} */ text) => text });
  return policy?.createHTML(html);
}

/**
 * @param {Node} from
 * @param {Node} to
 * @param {string} base
 */
function copy(from, to, base) {
  for (const child of from.childNodes) {
    if (child.nodeType === Node.TEXT_NODE) to.appendChild(document.createTextNode(child.nodeValue || ''));
    if (!(child instanceof Element) || DROPPED.has(child.tagName.toUpperCase())) continue;
    const made = ALLOWED.has(child.tagName) ? allowed(child, base) : null;
    if (made) to.appendChild(made.tagName === 'TABLE' ? h('div.wide', { tabindex: 0 }, made) : made);
    copy(child, made || to, base);
  }
}

/**
 * @param {Element} from
 * @param {string} base
 * @returns {HTMLElement}
 */
function allowed(from, base) {
  if (from.tagName === 'A') return link(from.getAttribute('href') || '', [], base);
  if (from.tagName === 'IMG') {
    const src = safeUrl(from.getAttribute('src') || '', base);
    return src?.startsWith('http') ? h('img', { src, alt: from.getAttribute('alt') || '', loading: 'lazy', referrerpolicy: 'no-referrer' }) : h('span');
  }
  const level = /^H([1-6])$/.exec(from.tagName);
  if (level) return h(`h${Math.min(6, Math.max(3, Number(level[1]) + 1))}`);
  const spans = from.tagName === 'TD' || from.tagName === 'TH' ? { colspan: from.getAttribute('colspan'), rowspan: from.getAttribute('rowspan') } : {};
  return h(from.tagName.toLowerCase(), { ...spans, tabindex: from.tagName === 'PRE' ? 0 : null, start: from.tagName === 'OL' ? from.getAttribute('start') : null });
}

// ------------------------------------------------------------------------------------------- kept in the browser

/**
 * What outlives a reload: `localStorage`, or memory where the browser forbids it. Values are JSON; one key per thing, so
 * that two tabs never overwrite each other's.
 */
class Keep {
  /** @param {string} server address of the server; each has its own keys */
  constructor(server) {
    this.prefix = `kotae:${server}:`;
    /** @type {Map<string, string>} */
    this.memory = new Map();
    /** @type {Storage|null} */
    this.storage = null;
    try {
      localStorage.setItem(`${this.prefix}probe`, '1');
      localStorage.removeItem(`${this.prefix}probe`);
      this.storage = localStorage;
    } catch { /* forbidden, or full: memory it is */ }
  }

  /** @param {string} name */
  get(name) {
    try {
      return JSON.parse(this.memory.get(name) ?? this.storage?.getItem(this.prefix + name) ?? 'null');
    } catch {
      return null;
    }
  }

  /**
   * @param {string} name
   * @param {any} value null removes it
   */
  set(name, value) {
    this.memory.delete(name);
    try {
      if (value === null) this.storage?.removeItem(this.prefix + name);
      else if (this.storage) this.storage.setItem(this.prefix + name, JSON.stringify(value));
      else this.memory.set(name, JSON.stringify(value));
    } catch {
      this.memory.set(name, JSON.stringify(value)); // the quota is used up
    }
  }

  /** @param {string} start @returns {string[]} names that begin so */
  names(start) {
    const kept = this.storage ? Object.keys(this.storage).filter((key) => key.startsWith(this.prefix)).map((key) => key.slice(this.prefix.length)) : [];
    return [...new Set([...kept, ...this.memory.keys()])].filter((name) => name.startsWith(start));
  }

  /** Leaves nothing behind. */
  clear() {
    for (const name of this.names('')) this.set(name, null);
  }
}

// --------------------------------------------------------------------------------------------- the log, delivered

/** The server said no. */
class Refused extends Error {
  /**
   * @param {number} status
   * @param {string} message
   * @param {number} after seconds to wait
   */
  constructor(status, message, after) {
    super(message);
    this.status = status;
    this.after = after;
  }

  /** Whether asking again could help. */
  get passing() { return this.status >= 500 || [408, 425, 429].includes(this.status); }

  /** Whether our token or conversation is not known any more. */
  get unknown() { return this.status === 401 || this.status === 404; }
}

/**
 * Who a JWT speaks of, unverified: only to notice that the person changed.
 * @param {string} jwt
 * @returns {string}
 */
function subject(jwt) {
  try {
    const claims = JSON.parse(atob(jwt.split('.')[1].replace(/-/g, '+').replace(/_/g, '/')));
    return `${claims.account_id ?? ''}/${claims.sub ?? ''}`;
  } catch {
    return jwt;
  }
}

/**
 * One conversation and its delivery: nothing lost, nothing doubled, nothing out of order.
 *
 * Outwards: a message is kept in the outbox (one storage key each) until the server names its `seq`, by acknowledgement or by
 * the message itself; the oldest goes first and alone, so order survives resending. The server takes a `client_id` once.
 * Inwards: messages are kept by `seq`, shown only without holes; a hole is asked for by REST, whose answer is complete.
 *
 * Tells by `emit(name, detail)`: `messages` (new ones, in order), `outbox`, `status` ('idle', 'connecting', 'online',
 * 'polling', 'offline'), `typing`, `read`, `holder`, `notice`, `forgotten`, `identity-expired`.
 */
export class Thread {
  lang = 'en';
  /** @type {Identity|null} */
  identity = null;
  /** @type {string|null} */
  jwt = null;
  /** @type {WebSocket|null} */
  socket = null;
  /** @type {string|undefined} the conversation this tab shows */
  shown = undefined;
  status = 'idle';
  running = false;
  /** WebSockets refused in a row; attempts to connect that failed in a row; when polling began */
  refusals = 0;
  attempts = 0;
  polled = 0;
  /** @type {Record<string, ReturnType<typeof setTimeout>|undefined>} */
  timers = {};

  // What one conversation is, forgotten by `reset`.
  /** @type {Map<number, Message>} */
  messages = new Map();
  /** Every message up to here is there. */
  last = 0;
  /** @type {{id: string, tries: number}|null} the message on its way */
  flight = null;
  busy = false;
  /** When the customer last wrote something nobody could be told of. */
  typedAt = 0;
  /** Whether the server knows the person. */
  known = false;
  holder = 'bot';
  /** @type {string|null} */
  csm = null;
  readByOthers = 0;
  /** What was begun in an earlier life compares unequal, and stops. */
  life = {};

  /**
   * @param {string} base address of the server, with a slash at the end
   * @param {(name: string, detail?: any) => void} emit
   */
  constructor(base, emit) {
    this.base = base;
    this.emit = emit;
    this.keep = new Keep(base);
  }

  /** Forgets the log in memory, not what is kept. */
  reset() {
    this.messages = new Map();
    this.last = this.readByOthers = 0;
    this.flight = this.csm = null;
    this.busy = this.known = false;
    this.holder = 'bot';
    this.life = {};
    this.shown = undefined;
  }

  /** @returns {State|null} */
  get state() { return this.keep.get('state'); }

  /** @returns {Message[]} without holes, in order */
  get log() { return [...this.messages.values()].filter((one) => one.seq <= this.last).sort((a, b) => a.seq - b.seq); }

  /** @returns {Outgoing[]} oldest first */
  get outbox() {
    return this.keep.names('out:').map((name) => this.keep.get(name)).filter(Boolean)
      .sort((a, b) => a.at - b.at || (a.client_id < b.client_id ? -1 : 1));
  }

  /** @returns {number} highest `seq` the customer has seen */
  get seen() { return this.note('seen') || 0; }

  /**
   * Something remembered about this conversation.
   * @param {string} name
   * @param {any} [value] remembered from now on
   */
  note(name, value) {
    const key = `note:${this.shown ?? this.state?.conversation_id}:${name}`;
    if (value !== undefined) this.keep.set(key, value);
    return this.keep.get(key);
  }

  // -- what the element asks for

  /** Connects, now and after every failure, until `stop`. */
  start() {
    this.running = true;
    this.soon(0);
  }

  /** Closes the line; everything kept stays. */
  stop() {
    this.running = false;
    this.drop();
    clearTimeout(this.timers.connect);
    this.say('idle');
  }

  /**
   * Puts a message in the outbox and sends it as soon as may be.
   * @param {string} text
   * @param {string} [choice] id of the choice that was clicked
   */
  send(text, choice) {
    const at = Math.max(Date.now(), (this.outbox.at(-1)?.at ?? 0) + 1);
    this.typedAt = 0;
    this.queue({ client_id: uuid(), text, choice, at });
    if (!this.running) this.start();
    else if (this.status === 'offline') this.soon(0);
  }

  /** @param {Outgoing} item */
  queue(item) {
    this.keep.set(`out:${item.client_id}`, item);
    this.emit('outbox');
    this.flush();
  }

  /** @param {string} id */
  unqueue(id) {
    if (this.flight?.id === id) { this.flight = null; clearTimeout(this.timers.ack); }
    if (!this.keep.get(`out:${id}`)) return;
    this.keep.set(`out:${id}`, null);
    this.emit('outbox');
  }

  /** @param {number} seq the customer has seen everything up to here */
  markSeen(seq) {
    if (seq <= this.seen) return;
    this.note('seen', seq);
    this.tell({ type: 'read', seq });
  }

  /**
   * Sends a frame that needs no acknowledgement, over whichever line there is.
   * @param {Record<string, any>} frame
   */
  tell(frame) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(frame));
    else if (frame.type === 'typing') this.typedAt = Date.now(); // told when the line opens, if that is soon
    else if (this.state) this.call('POST', `${this.path}/frames`, frame).catch(warn);
  }

  /**
   * What the customer gave, a thumb or a rating: kept until the server has it, like a message.
   * @param {{type: string, seq: number} & Record<string, any>} frame
   */
  give(frame) {
    this.keep.set(`give:${this.state?.conversation_id}:${frame.type}:${frame.seq}`, frame);
    this.handOver().catch(warn);
  }

  /** Sends what was given and is not there yet. Saying it twice does no harm, so two tabs may. */
  async handOver() {
    for (const name of this.keep.names(`give:${this.state?.conversation_id}:`)) {
      const frame = this.keep.get(name);
      try {
        if (frame) await this.call('POST', `${this.path}/frames`, frame);
      } catch (error) {
        if (!(error instanceof Refused) || error.passing || error.unknown) return;
      }
      if (JSON.stringify(this.keep.get(name)) === JSON.stringify(frame)) this.keep.set(name, null);
    }
  }

  /**
   * Who is asking, from now on. The same person keeps the conversation, a visitor becomes known in it, another person gets one
   * of their own.
   * @param {Identity} identity
   */
  async identify(identity) {
    this.identity = identity;
    const jwt = typeof identity === 'string' ? identity : await identity();
    if (identity !== this.identity) return; // logged out, or somebody else, in the meantime
    this.jwt = jwt;
    const state = this.state;
    if (!state || state.who === subject(jwt)) return;
    if (state.who) this.forget(true);
    Object.assign(this, { life: {}, busy: false }); // what is being begun as somebody else does not go on
    this.drop();
    if (this.running) this.soon(0);
  }

  /** Ends it on this device: nothing stays in the browser. */
  logout() {
    this.identity = this.jwt = null;
    if (this.state) this.call('DELETE', `${this.path}/token`).catch(() => {}); // gone here in any case
    this.stop();
    this.forget(true);
    this.keep.clear();
  }

  /**
   * The conversation is no longer ours: a next one starts afresh.
   * @param {boolean} changed the person did; else what was not sent yet is sent in the next conversation
   */
  forget(changed = false) {
    this.drop();
    this.keep.set('state', null);
    if (changed) this.keep.names('').forEach((name) => /^(out|note|give):/.test(name) && this.keep.set(name, null));
    this.reset();
    this.emit('forgotten', changed);
  }

  /**
   * Another tab changed what is kept.
   * @param {string|null} key storage key; null when everything was removed
   */
  noticed(key) {
    if (key !== null && !key.startsWith(this.keep.prefix)) return;
    const name = key?.slice(this.keep.prefix.length) ?? 'state';
    if (name.startsWith('out:')) this.emit('outbox');
    else if (name.startsWith('note:')) this.emit('read');
    else if (name === 'state' && this.state?.conversation_id !== this.shown) {
      this.stop();
      this.reset();
      this.emit('forgotten');
      if (this.state) this.start();
    }
  }

  // -- requests

  get path() { return `v1/conversations/${this.state?.conversation_id}`; }

  /**
   * @param {string} method
   * @param {string} path relative to the server
   * @param {any} [body]
   * @param {string|null} [token] instead of the conversation's
   * @returns {Promise<any>}
   */
  async call(method, path, body, token = this.state?.token ?? null) {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), TIMING.request);
    try {
      const response = await fetch(new URL(path, this.base), {
        method, signal: abort.signal, keepalive: method === 'DELETE', credentials: 'omit', cache: 'no-store', body: body && JSON.stringify(body),
        headers: { ...(body && { 'Content-Type': 'application/json' }), ...(token && { Authorization: `Bearer ${token}` }) },
      });
      const data = await response.json().catch(() => null);
      if (response.ok) return data;
      const told = data?.error?.message ?? data?.message ?? data?.detail;
      throw new Refused(response.status, typeof told === 'string' ? told : '', Number(response.headers.get('Retry-After')) || 0);
    } finally {
      clearTimeout(timer);
    }
  }

  // -- the line

  /** @param {string} status */
  say(status) {
    if (status === this.status) return;
    this.status = status;
    this.emit('status', status);
  }

  /** @param {number} delay in milliseconds */
  soon(delay) {
    clearTimeout(this.timers.connect);
    this.timers.connect = setTimeout(() => this.connect().catch(warn), delay);
  }

  /** Tries again later: exponential, with jitter, so that a restarted server is not met by everyone at once. */
  later() {
    if (!this.running) return;
    const most = Math.min(TIMING.retryMax, TIMING.retry * 2 ** this.attempts);
    this.attempts += 1;
    this.say('offline');
    this.soon(TIMING.retry / 4 + Math.random() * most);
  }

  async connect() {
    if (!this.running || this.busy || this.socket) return;
    const { life } = this;
    this.busy = true;
    if (this.status === 'idle') this.say('connecting');
    try {
      await this.adopt(life);
      if (life !== this.life || !this.running || !this.state) return;
      if (this.refusals < REFUSALS) this.listen();
      else await this.poll();
    } catch (error) {
      if (life === this.life) this.failed(error);
    } finally {
      if (life === this.life) this.busy = false;
      else if (this.running) this.soon(0);
    }
  }

  /** @param {unknown} error of a request */
  failed(error) {
    this.drop();
    if (error instanceof Refused && error.unknown && this.state) return this.lost();
    if (error instanceof Refused && error.status === 403) return this.turnedAway();
    if (!(error instanceof Refused) || error.status !== 429) {
      if (!this.state) this.emit('notice', 'started');
      return this.later();
    }
    this.emit('notice', 'slow');
    this.say('offline');
    if (this.running) this.soon(1000 * Math.max(1, error.after));
  }

  /** The server no longer takes our token. A customer gets the same conversation again: what is shown stays until then. */
  lost() {
    this.drop();
    this.keep.set('state', null);
    this.later();
  }

  /** This website may not use the chat: asking again would not help. */
  turnedAway() {
    this.stop();
    warn('this website is not among KOTAE_ALLOWED_ORIGINS');
  }

  /**
   * Makes sure that there is a conversation, that it is bound to who is asking, and that its log is here.
   * @param {object} life
   */
  async adopt(life) {
    if (!this.state) {
      const once = async () => { if (!this.state && life === this.life) await this.create(life); };
      // Two tabs opened at once make one conversation. Locks exist in secure contexts only.
      await (navigator.locks ? navigator.locks.request(`${this.keep.prefix}create`, once) : once());
    }
    const { state } = this;
    if (!state || life !== this.life) return;
    this.turnTo(state.conversation_id); // another tab may have made it
    if (this.jwt && state.who === null) await this.bind(state, life);
    if (life === this.life && !this.last) await this.catchUp(life);
  }

  /** @param {object} life */
  async create(life) {
    const start = () => this.call('POST', 'v1/conversations', { lang: this.lang, page_url: location.href.split(/[?#]/)[0], resume: true }, this.jwt);
    let { jwt } = this;
    const made = await start().catch(async (error) => {
      if (!jwt || !(error instanceof Refused) || error.status !== 401) throw error;
      jwt = await this.renew(jwt);
      return start();
    });
    if (life !== this.life) return;
    this.turnTo(made.conversation_id);
    this.keep.set('state', { conversation_id: made.conversation_id, token: made.token, who: jwt && subject(jwt) });
    this.known = Boolean(jwt);
    this.hold(made);
    this.take(made.messages || [], true);
  }

  /**
   * Shows a conversation from here on. Where that is another one, nothing of the one before stays; the life goes on.
   * @param {string} id
   */
  turnTo(id) {
    if (this.shown && this.shown !== id) {
      const { life, busy } = this;
      this.reset();
      Object.assign(this, { life, busy });
      this.emit('forgotten');
    }
    this.shown = id;
  }

  /**
   * Another identity token where one was refused, or null: then we go on as a visitor, and the page is told.
   * @param {string} refused
   */
  async renew(refused) {
    const fresh = typeof this.identity === 'function' ? await this.identity() : null;
    this.jwt = fresh && fresh !== refused ? fresh : null;
    if (!this.jwt) this.emit('identity-expired');
    return this.jwt;
  }

  /**
   * A visitor's conversation becomes a known person's; where that person has one already, the server may move us there.
   * @param {State} state
   * @param {object} life
   */
  async bind(state, life) {
    const jwt = /** @type {string} */ (this.jwt);
    let bound;
    try {
      bound = await this.call('PUT', `${this.path}/identity`, { identity: jwt }, state.token);
    } catch (error) {
      if (!(error instanceof Refused) || error.passing) throw error;
      if (life !== this.life) return;
      if (error.status === 409) { this.forget(); this.later(); } // it belongs to somebody else
      // The identity was refused; the conversation itself may still be ours.
      else if (await this.renew(jwt) && life === this.life) await this.bind(state, life);
      return;
    }
    if (life !== this.life) return;
    const moved = bound?.token && bound.conversation_id !== state.conversation_id;
    this.keep.set('state', { ...state, ...(bound?.token && { conversation_id: bound.conversation_id, token: bound.token }), who: subject(jwt) });
    this.known = true;
    if (!moved) return;
    this.reset();
    this.emit('forgotten');
  }

  /** @param {object} life */
  async catchUp(life) {
    const about = await this.call('GET', this.path);
    if (life !== this.life) return;
    this.known = Boolean(about.known);
    this.hold(about);
    await this.sync();
  }

  /** Reads what is after the last message without a hole. The answer is complete, so holes in it are none. */
  async sync() {
    const { life } = this;
    /** @type {Message[]} */
    const read = [];
    for (let more = true; more;) {
      const data = await this.call('GET', `${this.path}/messages?after=${read.at(-1)?.seq ?? this.last}`);
      if (life !== this.life) return;
      this.hold(data);
      read.push(...data.messages);
      more = Boolean(data.more && data.messages.length);
    }
    this.take(read, true); // at once: what is shown in parts is shown from where the last part begins
  }

  /** @param {{holder?: string, csm?: {name: string}|string|null}} data */
  hold(data) {
    if (!data.holder) return;
    const csm = typeof data.csm === 'string' ? data.csm : data.csm?.name;
    const changed = data.holder !== this.holder || (csm && csm !== this.csm);
    this.holder = data.holder;
    if (csm || data.holder === 'bot') this.csm = csm || null;
    if (changed) this.emit('holder');
  }

  /** Opens the WebSocket. The token travels as a subprotocol: never in an address, which ends up in logs. */
  listen() {
    const url = new URL(`${this.path}/stream?after=${this.last}`, this.base);
    url.protocol = url.protocol.replace('http', 'ws');
    const socket = new WebSocket(url, ['kotae', this.state?.token || '']);
    let opened = false;
    this.socket = socket;
    this.timers.open = setTimeout(() => { this.refusals += 1; this.drop(); this.later(); }, TIMING.open);
    socket.onopen = guard(() => {
      opened = true;
      clearTimeout(this.timers.open);
      this.refusals = this.attempts = 0;
      this.say('online');
      this.beat();
      if (Date.now() - this.typedAt < TIMING.typing) this.tell({ type: 'typing' });
      this.flush();
    });
    socket.onmessage = guard((event) => {
      this.beat();
      this.receive(JSON.parse(event.data));
    });
    socket.onclose = guard((event) => {
      if (!opened) this.refusals += 1;
      this.drop();
      if (event.code === 4401 || event.code === 4404) this.lost();
      else if (event.code === 4403) this.turnedAway();
      else this.later();
    });
  }

  /** Lets go of the socket, at once: a dead line may take minutes to close by itself. */
  drop() {
    const { socket } = this;
    this.socket = this.flight = null;
    for (const name of ['open', 'ping', 'pong', 'ack', 'reply', 'gap']) clearTimeout(this.timers[name]);
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  /** Something was heard. After a silence we ask; without an answer the line is dead. */
  beat() {
    clearTimeout(this.timers.pong);
    clearTimeout(this.timers.ping);
    this.timers.ping = setTimeout(() => this.probe(), TIMING.ping);
  }

  /** Asks whether the line stands, or connects at once where there is none: on waking up, or when the network is back. */
  probe() {
    if (!this.running) return;
    const again = () => { this.drop(); this.attempts = 0; this.soon(0); };
    if (this.socket?.readyState === WebSocket.CONNECTING) return;
    if (this.socket?.readyState !== WebSocket.OPEN) { again(); return; }
    this.tell({ type: 'ping' });
    clearTimeout(this.timers.pong);
    this.timers.pong = setTimeout(again, TIMING.pong);
  }

  /** One round without WebSocket: read, send, and come back. */
  async poll() {
    this.polled ||= Date.now();
    if (Date.now() - this.polled > TIMING.upgrade) { this.polled = 0; this.refusals = REFUSALS - 1; }
    await this.sync();
    this.attempts = 0;
    this.say('polling');
    this.soon(document.hidden ? TIMING.pollHidden : TIMING.poll);
    this.flush();
  }

  // -- frames

  /** @param {any} frame from the server */
  receive(frame) {
    if (frame.type === 'message') this.take([frame], false);
    else if (frame.type === 'ack') this.settle(frame.client_id, frame.seq);
    else if (frame.type === 'pong') { if (frame.seq > this.last) this.fill(); }
    else if (frame.type === 'holder') this.hold(frame);
    else if (frame.type === 'read') { this.readByOthers = Math.max(this.readByOthers, frame.seq); this.emit('read'); }
    else if (frame.type === 'typing') this.emit('typing', frame);
    else if (frame.type === 'error') this.refused(frame);
  }

  /**
   * Adds messages to the log.
   * @param {Message[]} messages
   * @param {boolean} complete they are all there is after `last`, so a jump in `seq` is no hole
   */
  take(messages, complete) {
    const before = this.last;
    for (const one of messages) {
      if (!this.messages.has(one.seq)) this.messages.set(one.seq, one);
      if (one.client_id) this.unqueue(one.client_id);
      if (complete && one.seq > this.last) this.last = one.seq;
    }
    while (this.messages.has(this.last + 1)) this.last += 1;
    const fresh = this.log.filter((one) => one.seq > before);
    if (fresh.some((one) => one.sender !== 'customer')) clearTimeout(this.timers.reply);
    if (fresh.length) this.emit('messages', fresh);
    clearTimeout(this.timers.gap);
    if (Math.max(...this.messages.keys()) > this.last) this.fill();
    this.flush();
  }

  /** Asks for what is missing, after a moment in which a late frame may still come. */
  fill() {
    const { life } = this;
    clearTimeout(this.timers.gap);
    this.timers.gap = setTimeout(() => this.sync().catch((error) => { if (life === this.life) this.failed(error); }), TIMING.gap);
  }

  /**
   * The server has our message.
   * @param {string} id
   * @param {number} seq
   */
  settle(id, seq) {
    const item = /** @type {Outgoing|null} */ (this.keep.get(`out:${id}`));
    if (!item) return;
    this.take([{ seq, sender: 'customer', body: { type: 'text', text: item.text }, client_id: id, created_at: new Date(item.at).toISOString() }], false);
    clearTimeout(this.timers.reply);
    this.timers.reply = setTimeout(() => this.fill(), TIMING.reply);
  }

  /** @param {{code: string, message?: string, client_id?: string, retry_after?: number}} frame */
  refused(frame) {
    const item = frame.client_id && /** @type {Outgoing|null} */ (this.keep.get(`out:${frame.client_id}`));
    if (!item) return;
    clearTimeout(this.timers.ack);
    if (frame.code === 'too_many' || frame.code === 'unavailable') {
      this.emit('notice', 'slow');
      this.timers.ack = setTimeout(() => { this.flight = null; this.flush(); }, 1000 * (frame.retry_after || 3));
    } else {
      this.flight = null;
      this.queue({ ...item, failed: frame.message || frame.code });
    }
  }

  /** Sends the oldest message of the outbox, one at a time: the next goes when this one has its `seq`. */
  flush() {
    this.handOver().catch(warn);
    const polling = this.status === 'polling' && !this.socket;
    if (this.flight || !this.running || !(polling || this.socket?.readyState === WebSocket.OPEN)) return;
    const item = this.outbox.find((one) => !one.failed);
    if (!item) return;
    this.flight = { id: item.client_id, tries: 0 };
    if (polling) this.post(item, this.flight).catch(warn);
    else this.transmit(item, this.flight);
  }

  /**
   * @param {Outgoing} item
   * @param {{id: string, tries: number}} flight
   */
  transmit(item, flight) {
    if (flight !== this.flight) return;
    flight.tries += 1;
    if (flight.tries > 3) { this.drop(); this.later(); return; }
    this.tell({ type: 'message', client_id: item.client_id, text: item.text, choice: item.choice });
    this.timers.ack = setTimeout(() => this.transmit(item, flight), TIMING.ack);
  }

  /**
   * @param {Outgoing} item
   * @param {{id: string, tries: number}} flight
   */
  async post(item, flight) {
    try {
      const { seq } = await this.call('POST', `${this.path}/messages`, { client_id: item.client_id, text: item.text, choice: item.choice });
      if (flight !== this.flight) return;
      this.settle(item.client_id, seq);
      this.soon(Math.min(700, TIMING.poll)); // a reply is due
    } catch (error) {
      if (flight !== this.flight) return;
      this.flight = null;
      if (!(error instanceof Refused) || error.passing || error.unknown) this.failed(error);
      else this.refused({ code: 'invalid', message: error.message, client_id: item.client_id });
    }
  }
}

// ---------------------------------------------------------------------------------------------------- the drawing

/** @typedef {Pick<KotaeChat, 't'|'tongue'|'locale'|'read'|'choose'|'rate'|'rated'|'survey'|'emailForm'>} View what the drawing of a message uses */

/**
 * @param {string|number|Date} at
 * @param {string} lang
 * @param {Intl.DateTimeFormatOptions} options
 */
const format = (at, lang, options) => new Intl.DateTimeFormat(lang, options).format(new Date(at));
/** @param {string} at @param {string} lang */
const clock = (at, lang) => format(at, lang, { hour: 'numeric', minute: '2-digit' });
/** @param {string} at an ISO date @param {string} lang */
const day = (at, lang) => format(at, lang, { year: 'numeric', month: 'short', day: 'numeric', timeZone: 'UTC' });
/** Words beside it may name the hour in the company's zone, so it names its own. @param {string} at @param {string} lang */
const moment = (at, lang) => format(at, lang, {
  ...(new Date(at).toDateString() !== new Date().toDateString() && { weekday: 'short', month: 'short', day: 'numeric' }), hour: 'numeric', minute: '2-digit', timeZoneName: 'short',
});

/**
 * @param {Citation} citation
 * @param {View} view
 * @param {string} cls
 */
function citationButton(citation, view, cls) {
  const detail = [citation.heading, citation.source === 'community' ? view.t.community : null].filter(Boolean).join(' · ');
  return h('button', { class: cls, lang: citation.lang, onclick: () => view.read(citation) },
    icon('page'), h('span.grow', h('span.cite-title', citation.title), detail && h('span.soft', { lang: view.tongue }, detail)), icon('arrow', 'turn'));
}

/**
 * The words of a body.
 * @param {{text: string}} body
 * @param {string} [cls]
 */
const prose = ({ text }, cls = '') => h(`div.prose.${cls}`, { dir: 'auto' }, markdown(text));

/** @type {Record<string, (body: any, message: Message, view: View) => Node>} */
const DRAW = {
  /** @param {TextBody} body */
  text(body, message) {
    if (message.sender === 'customer') return h('div.bubble', { dir: 'auto' }, body.text);
    return prose(body, 'bubble');
  },

  /** @param {AnswerBody} body */
  answer(body, message, view) {
    const { t } = view;
    const [cited] = body.citations;
    const [, word] = /** @type {[number, 'sure'|'likely'|'maybe']} */ (CONFIDENCE.find(([least]) => body.confidence >= least) || CONFIDENCE[2]);
    return h('div.card',
      body.note && h('p.note', { dir: 'auto' }, body.note),
      h('p', { class: `trust ${word}` }, h('span.dots', { 'aria-hidden': 'true' }, h('i'), h('i'), h('i')), t[word]),
      h('blockquote.quote.prose', { dir: 'auto', lang: cited?.lang, cite: cited && safeUrl(cited.url) }, markdown(body.quote, cited?.url)),
      ...body.citations.map((one) => citationButton(one, view, 'cite')),
      body.alternatives?.length ? h('div.also', h('p.soft', t.also), ...body.alternatives.map((one) => citationButton(one, view, 'cite small'))) : null,
      thumbs(message, view));
  },

  /** @param {ChoicesBody} body */
  choices(body, _, view) {
    return h('div',
      prose(body, 'bubble'),
      h('div.choices', { role: 'group', 'aria-label': body.text },
        ...body.choices.map((one) => h('button.choice', { dir: 'auto', onclick: () => view.choose(one) }, one.label))));
  },

  /** @param {AccountBody} body */
  account(body, _, view) {
    return h('div.card',
      prose(body),
      h('dl.facts', ...body.facts.map((fact) => h('div', h('dt', fact.label), h('dd', fact.value), typeof fact.used === 'number' ? meter(fact, view) : null))));
  },

  /** @param {ChecklistBody} body */
  checklist(body, _, view) {
    const bar = h('i');
    bar.style.width = `${body.percent}%`;
    return h('div.card',
      prose(body),
      h('div.bar', { role: 'progressbar', 'aria-valuenow': body.percent, 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-label': put(view.t.progress, body.percent) }, bar),
      h('p.soft', put(view.t.progress, body.percent)),
      h('ol.steps', ...body.steps.map((one) => step(one, view))));
  },

  /** @param {HandoverBody} body */
  handover(body, _, view) {
    const { t } = view;
    const ended = body.status === 'resolved' || body.status === 'returned';
    return h('div', { class: `card handover ${body.status}` },
      h('p.status', icon(ended ? 'check' : 'person'), h('strong', body.status === 'claimed' && body.csm ? put(t.withCsm, body.csm) : t[body.status])),
      prose(body),
      body.expected_at && body.status === 'queued' ? h('p.soft', put(t.expected, moment(body.expected_at, view.locale))) : null,
      body.status === 'queued' ? view.emailForm() : null);
  },

  /** @param {SurveyBody} body */
  survey(body, message, view) {
    const { t } = view;
    const done = () => h('p.soft', { tabindex: -1 }, t.rated);
    if (view.rated(message.seq) !== null) return h('div.card', h('p', { dir: 'auto' }, body.text), done());
    const name = `score-${message.seq}`;
    const scores = Array.from({ length: body.high - body.low + 1 }, (_, i) => body.low + i);
    const comment = /** @type {HTMLTextAreaElement} */ (h('textarea', { rows: 2, 'aria-label': t.comment, placeholder: t.comment, maxlength: 1000 }));
    const more = h('div.more', { hidden: true }, comment, h('button.primary', { type: 'submit' }, t.submit));
    const form = h('form', {
      onsubmit: (/** @type {SubmitEvent} */ event) => {
        event.preventDefault();
        view.survey(message.seq, Number(new FormData(/** @type {HTMLFormElement} */ (form)).get(name)), comment.value.trim());
        const said = done();
        form.replaceWith(said);
        said.focus();
      },
    }, h('fieldset.scores', h('legend', { dir: 'auto' }, body.text),
      ...scores.map((score) => h('label', h('input', { type: 'radio', name, value: score, required: true, 'aria-label': put(t.score, score, body.high), onchange: () => { more.hidden = false; more.scrollIntoView({ block: 'nearest' }); } }), h('span', { 'aria-hidden': 'true' }, String(score))))),
    h('p.ends.soft', { 'aria-hidden': 'true' }, h('span', t[`${body.survey}Low`]), h('span', t[`${body.survey}High`])), more);
    return h('div.card', form);
  },
};

/**
 * @param {Message} message
 * @param {View} view
 * @returns {Node}
 */
function draw(message, view) {
  const body = /** @type {any} */ (message.body);
  const known = Object.hasOwn(DRAW, body?.type) ? DRAW[body.type] : null;
  return known ? known(body, message, view) : h('div.bubble', { dir: 'auto' }, String(body?.text ?? view.t.unsupported));
}

/** @param {Fact} fact @param {View} view */
function meter(fact, view) {
  const used = /** @type {number} */ (fact.used);
  const words = put(view.t.used, new Intl.NumberFormat(view.locale, { style: 'percent', maximumFractionDigits: 0 }).format(used));
  const bar = h('i');
  bar.style.width = `${Math.min(100, used * 100)}%`;
  return h('dd.used',
    h('span', { class: `bar ${used >= 1 ? 'full' : used >= 0.8 ? 'near' : ''}`, role: 'meter', 'aria-label': fact.label, 'aria-valuenow': Math.min(100, Math.round(used * 100)), 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-valuetext': words }, bar),
    h('span.soft', words));
}

/** @param {Step} one @param {View} view */
function step(one, view) {
  const { t } = view;
  const due = one.due && !one.done ? put(one.overdue ? t.overdue : t.due, day(one.due, view.locale)) : null;
  const state = one.done ? t.done : one.current ? t.current : null;
  const detail = h('span', { class: `soft ${one.overdue && !one.done ? 'late' : ''}` }, [state, due].filter(Boolean).join(' · '));
  const inside = [h('span.tick', one.done && icon('check')), h('span.grow', h('span', one.title), detail)];
  const linked = one.article;
  return h('li', { class: one.done ? 'done' : one.current ? 'current' : '', 'aria-current': one.current ? 'step' : null },
    linked ? h('button', { onclick: () => view.read(linked) }, ...inside, icon('arrow', 'turn')) : h('span.plain', ...inside));
}

/** @param {Message} message @param {View} view */
function thumbs(message, view) {
  const { t } = view;
  const said = view.rated(message.seq);
  const told = h('span.soft', { role: 'status' }, said === null ? '' : t.thanks);
  const button = (/** @type {boolean} */ helpful) => h('button', {
    class: `thumb ${helpful ? '' : 'upside'}`, 'aria-pressed': String(said === helpful), 'aria-label': helpful ? t.yes : t.no, title: helpful ? t.yes : t.no,
    onclick: () => {
      view.rate(message.seq, helpful);
      told.textContent = t.thanks;
      both.forEach((one, i) => one.setAttribute('aria-pressed', String((i === 0) === helpful)));
    },
  }, icon('up'));
  const both = [button(true), button(false)];
  return h('div.thumbs', { role: 'group', 'aria-label': t.helpful }, h('span.soft', t.helpful), ...both, told);
}

/**
 * A body as plain text, for the transcript.
 * @param {any} body
 * @param {Words} t
 * @returns {string}
 */
function plain(body, t) {
  return [
    body.note, body.text, body.quote,
    ...(body.citations || []).map((/** @type {Citation} */ one) => `${t.from}: ${one.title} <${one.url}>`),
    ...(body.choices || []).map((/** @type {Choice} */ one) => `- ${one.label}`),
    ...(body.facts || []).map((/** @type {Fact} */ one) => `- ${one.label}: ${one.value}`),
    ...(body.steps || []).map((/** @type {Step} */ one) => `[${one.done ? 'x' : ' '}] ${one.title}`),
  ].filter(Boolean).join('\n');
}

/** Two soft notes. A page that was never touched may not make sound; then it stays silent. */
function chime() {
  const sound = new AudioContext();
  const tone = sound.createOscillator();
  const volume = sound.createGain();
  const at = sound.currentTime;
  tone.frequency.setValueAtTime(660, at);
  tone.frequency.setValueAtTime(880, at + 0.12);
  volume.gain.setValueAtTime(0.08, at);
  volume.gain.exponentialRampToValueAtTime(0.0001, at + 0.4);
  tone.connect(volume).connect(sound.destination);
  tone.onended = () => sound.close();
  tone.start();
  tone.stop(at + 0.4);
}

// --------------------------------------------------------------------------------------------------------- styles

const DARK = `
  --paper: var(--kotae-paper, #14181f); --card: var(--kotae-card, #1b212b); --text: var(--kotae-text, #ebe6dc); --soft: #a7afbb; --line: #303845; --edge: #768194;
  --ink: var(--kotae-ink, #93b3e8); --on-ink: var(--kotae-on-ink, #10161f); --wash: #222b39; --seal: var(--kotae-seal, #f08a76); --on-seal: #22100c; --good: #84c9a5; --warn: #e5b866;
  --shade: 0 1px 2px #0006, 0 14px 40px #0007; color-scheme: dark;`;

// Everything stands on a frame of ours: rules of the page reach the element itself, and what its children would inherit.
const STYLE = `
.frame {
  all: initial;
  --paper: var(--kotae-paper, #faf7f1); --card: var(--kotae-card, #fffefb); --text: var(--kotae-text, #202836); --soft: #5d6470; --line: #e5dfd3; --edge: #8b8578;
  --ink: var(--kotae-ink, #23406e); --on-ink: var(--kotae-on-ink, #fdfbf6); --wash: #ecf0f5; --seal: var(--kotae-seal, #b23a2b); --on-seal: #fff; --good: #2b6a4d; --warn: #875800;
  --shade: 0 1px 2px #1b243214, 0 18px 50px #1b243233; --radius: var(--kotae-radius, 18px);
  --sans: var(--kotae-font, system-ui, -apple-system, "Segoe UI", Roboto, "Hiragino Sans", "Noto Sans CJK JP", "Noto Sans JP", sans-serif);
  --serif: var(--kotae-serif, "Iowan Old Style", "Palatino Linotype", Palatino, "Hiragino Mincho ProN", "Noto Serif CJK JP", "Noto Serif JP", Georgia, serif);
  color-scheme: light; font: 400 15px/1.55 var(--sans); color: var(--text); text-align: start;
}
@media (prefers-color-scheme: dark) { :host(:not([theme=light])) .frame { ${DARK} } }
:host([theme=dark]) .frame { ${DARK} }
*, ::before, ::after { box-sizing: border-box; }
[hidden] { display: none !important; }
/* Our words read from the left also where the page reads from the right: each line by its own direction, on the page's side. */
.frame * { unicode-bidi: plaintext; } .frame:dir(rtl) { text-align: right; } .frame:dir(rtl) .facts dd { text-align: left; } [dir=auto] { text-align: start; }
button, textarea, input { font: inherit; color: inherit; }
button { cursor: pointer; background: none; border: 0; padding: 0; text-align: inherit; }
:focus-visible { outline: 2px solid var(--ink); outline-offset: 2px; }
p, dl, dd, ol, ul, blockquote, fieldset { margin: 0; padding: 0; border: 0; }
.icon { width: 1.25em; height: 1.25em; flex: none; fill: none; stroke: currentColor; stroke-width: 1.7; stroke-linecap: round; stroke-linejoin: round; }
.turn:dir(rtl), .send:dir(rtl) .icon { transform: scaleX(-1); }
.vh { position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.grow { flex: 1; min-width: 0; overflow-wrap: anywhere; }
.soft, .day, .by, .state, .typing, .tool, .thumb { color: var(--soft); }
.soft, .banner, .typing, .below, .trust, .hint, .by { font-size: .8667em; }
.menu button, .greeting, header, .typing, .below, .trust, .cite, .steps button, .plain, .thumbs, .facts .used, .status, .onward a { display: flex; align-items: center; gap: 10px; }
.panel[open], .view, .scroll, .log, .card, .facts, .steps, .ask, .more, .row.customer { display: flex; flex-direction: column; }
.launcher, .mark, .tool, .thumb, .scores label span, .tick, .send { display: grid; place-items: center; flex: none; }
.launcher, .mark, .below, .row.customer .bubble, .primary, .send { background: var(--ink); color: var(--on-ink); }
.menu, .greeting, .card, .row:is(.bot, .csm) .bubble { background: var(--card); border: 1px solid var(--line); }
.menu button:hover, .tool:hover, .thumb:hover, .thumb[aria-pressed=true], .cite.small:hover, .onward a:hover { background: var(--wash); color: var(--ink); }

.launcher { position: fixed; z-index: var(--kotae-z, 2147483000); bottom: var(--kotae-bottom, 22px); inset-inline-end: var(--kotae-side, 22px); width: 58px; height: 58px;
  border-radius: 50%; border-end-end-radius: 8px; box-shadow: var(--shade); transition: transform .18s; }
:host([position=start]) .launcher { border-radius: 50%; border-end-start-radius: 8px; }
.menu { position: absolute; z-index: 2; top: 52px; inset-inline-end: 14px; padding: 6px; border-radius: 12px; box-shadow: var(--shade); display: grid; }
.menu button { padding: 8px 12px; border-radius: 8px; } .menu [aria-pressed=false] .icon { visibility: hidden; }
.hits { display: grid; gap: 8px; margin-top: 10px; } [role=search] { display: grid; margin-bottom: 10px; } .hits + .choice { margin-top: 12px; align-self: flex-start; } [type=search] { min-height: 43px; } [type=search]:focus-visible { outline-offset: -1px; border-color: var(--ink); }
.greeting { position: fixed; z-index: var(--kotae-z, 2147483000); bottom: calc(var(--kotae-bottom, 22px) + 72px); inset-inline-end: var(--kotae-side, 22px); max-width: min(300px, 100vw - 44px); gap: 6px; padding: 8px 8px 8px 16px; border-radius: 16px; border-end-end-radius: 4px; box-shadow: var(--shade); animation: rise .22s; }
.launcher:hover { transform: translateY(-2px); }
.launcher .icon { width: 26px; height: 26px; }
:host([position=start]) :is(.launcher, .panel, .greeting) { inset-inline: var(--kotae-side, 22px) auto; }
.badge { position: absolute; top: -3px; inset-inline-end: -3px; min-width: 22px; height: 22px; padding-inline: 6px; border-radius: 11px; background: var(--seal); color: var(--on-seal); font: 600 12px/22px var(--sans); text-align: center; box-shadow: 0 0 0 2px var(--paper); }

.panel { position: fixed; z-index: var(--kotae-z, 2147483000); inset: auto; bottom: calc(var(--kotae-bottom, 22px) + 74px); inset-inline-end: var(--kotae-side, 22px); margin: 0; padding: 0; border: 1px solid var(--line);
  width: min(400px, 100vw - 44px); height: min(660px, 100vh - 118px); max-width: none; max-height: none; border-radius: var(--radius); background: var(--paper); color: var(--text); box-shadow: var(--shade); overflow: hidden; }
.panel[open] { animation: rise .22s ease-out; }
.panel::backdrop { background: none; }
@keyframes rise { from { opacity: 0; transform: translateY(12px); } }
.panel.whole { inset: 0; width: 100vw; height: var(--view, 100dvh); border: 0; border-radius: 0; }
.view { flex: 1; min-height: 0; }

header { position: relative; padding: max(14px, env(safe-area-inset-top)) 0 12px; padding-inline: 18px 14px; background: var(--paper); border-bottom: 1px solid var(--line); }
.mark { width: 34px; height: 34px; border-radius: 50%; border-end-end-radius: 6px; font: 600 15px/1 var(--serif); }
.mark.person { border-radius: 50%; border-end-end-radius: 50%; background: var(--seal); color: var(--on-seal); }
h2 { margin: 0; font: 600 17px/1.3 var(--serif); }
h2:focus { outline: none; }
header .soft { display: block; line-height: 1.35; }
.tool { width: 36px; height: 36px; border-radius: 10px; margin-inline-start: -8px; }

.banner { padding: 8px 18px; background: var(--wash); color: var(--text); border-bottom: 1px solid var(--line); }
.scroll { flex: 1; min-height: 0; overflow: hidden auto; overscroll-behavior: contain; padding: 16px 18px 8px; position: relative; }
.scroll:focus-visible { outline-offset: -3px; }
.log { margin-top: auto; }
.welcome { padding: 12px 0 4px; } .welcome h3 { margin: 0 0 4px; font: 600 23px/1.3 var(--serif); } .welcome .cite { margin-top: 14px; background: var(--card); }
.ghost, .log:empty:not(.pending)::before { content: ""; display: block; height: 44px; width: 62%; border-radius: 16px; background: var(--wash); animation: wait .8s infinite alternate; }
.ghost { height: 14px; width: 100%; } .ghost:last-child { width: 55%; }
@keyframes wait { from { opacity: .4; } }
.pending { margin: 0; }
.day { align-self: center; margin-block: 10px 6px; font-size: .8em; }
.row { margin-top: 6px; max-width: 100%; animation: come .2s; }
@keyframes come { from { opacity: 0; transform: translateY(5px); } }
.row.first { margin-top: 16px; }
.by { display: flex; align-items: baseline; gap: 8px; margin-bottom: 4px; }
.by b { font-weight: 600; color: var(--text); }
.row.csm .by b { color: var(--seal); }
.row.customer { align-self: flex-end; max-width: 86%; align-items: flex-end; }
.bubble { overflow-wrap: anywhere; }
.row.customer .bubble { padding: 8px 14px; border-radius: 16px; border-end-end-radius: 4px; white-space: pre-wrap; }
.row.bot .bubble, .row.csm .bubble { padding: 9px 14px; border-radius: 16px; border-start-start-radius: 4px; width: fit-content; max-width: 100%; }
.row.csm .bubble { border-color: color-mix(in srgb, var(--seal) 35%, var(--line)); }
.row.system .bubble { text-align: center; font-size: .8667em; color: var(--soft); }
.row.waiting .bubble { opacity: .78; }
.state { font-size: .8em; margin-top: 3px; display: flex; gap: 10px; align-items: baseline; }
.state.failed { color: var(--seal); }
.state button { flex: none; text-decoration: underline; text-underline-offset: 2px; min-height: 24px; }
.typing { gap: 8px; height: 30px; margin-top: 6px; }
.typing i { width: 6px; height: 6px; border-radius: 50%; background: currentColor; animation: think 1.2s infinite; }
.typing i:nth-child(2) { animation-delay: .15s; } .typing i:nth-child(3) { animation-delay: .3s; margin-inline-end: 2px; }
@keyframes think { 0%, 60%, 100% { opacity: .3; } 30% { opacity: 1; transform: translateY(-3px); } }
.below { position: sticky; bottom: 4px; align-self: center; margin-top: 6px; padding: 6px 14px; border-radius: 16px; box-shadow: var(--shade); gap: 6px; }

.card > .bar { flex: none; }
.card { border-radius: 14px; padding: 14px 16px; gap: 10px; overflow-wrap: anywhere; }
.note { padding: 8px 12px; border-radius: 9px; background: var(--wash); font-size: .9333em; }
.trust { gap: 8px; font-weight: 600; color: var(--good); }
.trust.likely { color: var(--ink); } .trust.maybe { color: var(--warn); }
.dots { display: inline-flex; gap: 3px; }
.dots i { width: 7px; height: 7px; border-radius: 50%; background: currentColor; }
.likely .dots i:last-child, .maybe .dots i:not(:first-child) { background: none; box-shadow: inset 0 0 0 1.5px currentColor; opacity: .55; }
.quote { padding-inline-start: 14px; border-inline-start: 3px solid var(--ink); }
.cite, .steps button { width: 100%; padding: 9px 10px; border-radius: 10px; border: 1px solid var(--line); background: var(--paper); line-height: 1.4; }
.cite:hover, .steps button:hover { border-color: var(--ink); }
.cite > .icon:first-child { color: var(--ink); } .cite > .icon:last-child, .steps .turn { color: var(--soft); width: 1em; }
.cite-title { display: block; font-weight: 600; } .cite .soft { display: block; }
.cite.small { border-color: transparent; background: none; padding: 6px 4px; }
.also { border-top: 1px solid var(--line); padding-top: 8px; margin-top: 2px; }
.thumbs { gap: 4px; flex-wrap: wrap; margin-block: -4px -6px; }
.thumbs > :first-child { margin-inline-end: 4px; }
.thumb { width: 32px; height: 32px; border-radius: 9px; }
.thumb[aria-pressed=true] .icon { fill: color-mix(in srgb, currentColor 25%, transparent); }
.upside .icon { transform: rotate(180deg); }
.choices { display: flex; flex-wrap: wrap; gap: 8px; margin-top: 8px; }
.choice { padding: 7px 14px; border-radius: 17px; border: 1px solid var(--ink); color: var(--ink); background: var(--card); font-weight: 500; max-width: 100%; overflow-wrap: anywhere; line-height: 1.35; }
.choice:hover:not(:disabled) { background: var(--ink); color: var(--on-ink); }
.choice:disabled { border-color: var(--line); color: var(--soft); background: none; cursor: default; } .choice.taken { border-color: var(--ink); background: var(--wash); color: var(--ink); }

.facts > div { display: flex; flex-wrap: wrap; gap: 2px 14px; justify-content: space-between; padding-block: 8px; border-top: 1px solid var(--line); }
.facts > div:last-child { padding-bottom: 0; }
.facts dt { color: var(--soft); } .facts dd { font-weight: 600; text-align: end; flex: 1 1 auto; font-variant-numeric: tabular-nums; }
.facts .used { flex: 1 0 100%; font-weight: 400; }
.bar { display: block; flex: 1; height: 7px; min-height: 7px; border-radius: 4px; background: var(--wash); box-shadow: inset 0 0 0 1px var(--line); overflow: hidden; } .bar i { display: block; height: 100%; border-radius: 4px; background: var(--ink); }
.bar.near i { background: var(--warn); } .bar.full i { background: var(--seal); }
.steps { list-style: none; gap: 4px; }
.steps button { border-color: transparent; background: none; padding: 7px 6px; } .steps .plain { padding: 7px; }
.steps .current > * { background: var(--wash); } .steps .soft { display: block; line-height: 1.3; }
.tick { width: 22px; height: 22px; border-radius: 50%; border: 1.5px solid var(--edge); } .tick .icon { width: 14px; stroke-width: 2.6; }
.done .tick { background: var(--good); border-color: var(--good); color: var(--card); } .current .tick { border-color: var(--ink); box-shadow: inset 0 0 0 4px var(--card), inset 0 0 0 11px var(--ink); } .late { color: var(--seal); }
.handover .status { gap: 9px; color: var(--ink); } .handover.claimed .status { color: var(--seal); } .handover.resolved .status, .handover.returned .status { color: var(--good); }
.ask { gap: 6px; border-top: 1px solid var(--line); padding-top: 10px; } .ask div { display: flex; gap: 8px; }
.ask input { flex: 1; min-width: 0; } .pending + .ask { margin-top: 14px; }
input[type=email], input[type=search], .more textarea { padding: 7px 11px; border-radius: 10px; border: 1px solid var(--edge); background: var(--card); resize: vertical; }
.primary { padding: 7px 16px; border-radius: 10px; font-weight: 600; align-self: flex-start; }
.scores { display: flex; flex-wrap: wrap; gap: 4px; min-width: 0; } .scores legend { margin-bottom: 10px; padding: 0; }
.scores label { position: relative; flex: 1 0 24px; } .scores input { position: absolute; inset: 0; opacity: 0; margin: 0; width: 100%; height: 100%; cursor: pointer; }
.scores label span { height: 38px; border-radius: 8px; border: 1px solid var(--edge); }
.scores input:hover + span { border-color: var(--ink); color: var(--ink); } .scores input:checked + span { background: var(--ink); color: var(--on-ink); border-color: var(--ink); } .scores input:focus-visible + span { outline: 2px solid; outline-offset: 2px; }
.ends { display: flex; justify-content: space-between; margin-top: 6px; }
.more { gap: 8px; margin-top: 12px; scroll-margin-bottom: 24px; }

.prose > * + * { margin-top: .6em; }
.prose :is(ul, ol) { padding-inline-start: 1.35em; } .prose li + li { margin-top: .25em; } .prose li > :is(ul, ol) { margin-top: .25em; }
.prose :is(h3, h4, h5, h6) { font: 600 1.067em/1.35 var(--serif); margin-block: 1em .35em; } .prose > :first-child { margin-top: 0; }
.prose a { color: var(--ink); text-underline-offset: 3px; overflow-wrap: anywhere; }
.prose :is(code, kbd) { font: .88em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; background: var(--wash); border-radius: 5px; padding: .1em .35em; }
.prose pre { margin-bottom: 0; padding: 10px 12px; border-radius: 10px; background: var(--wash); overflow-x: auto; white-space: pre; overflow-wrap: normal; } .prose pre code { background: none; padding: 0; }
.prose blockquote { padding-inline-start: 12px; border-inline-start: 2px solid var(--line); color: var(--soft); }
.prose hr { border: 0; border-top: 1px solid var(--line); margin-block: 1em; }
.prose img { max-width: 100%; height: auto; border-radius: 8px; }
.wide { overflow-x: auto; } .prose table { border-collapse: collapse; font-size: .9333em; min-width: 100%; } .prose :is(th, td) { padding: 5px 12px 5px 0; border-bottom: 1px solid var(--line); text-align: start; vertical-align: top; }
.paper { padding: 22px 22px 26px; } .paper h2 { font-size: 21px; margin-bottom: 4px; } .paper .prose { margin-top: 16px; }
.onward a { padding: 13px 18px; border-top: 1px solid var(--line); color: var(--ink); font-weight: 600; text-decoration: none; }

.compose { display: flex; align-items: flex-end; gap: 8px; padding: 10px 12px 12px; padding-bottom: max(12px, env(safe-area-inset-bottom)); border-top: 1px solid var(--line); background: var(--paper); }
.compose textarea { flex: 1; min-width: 0; resize: none; border: 1px solid var(--edge); border-radius: 14px; background: var(--card); padding: 9px 13px; max-height: 132px; min-height: 43px; line-height: 1.5; }
.whole .compose textarea { font-size: 16px; }
.compose textarea:focus-visible { outline-offset: -1px; border-color: var(--ink); } ::placeholder { color: var(--soft); opacity: 1; }
.send { width: 43px; height: 43px; border-radius: 14px; } .send[aria-disabled=true] { background: var(--wash); color: var(--soft); cursor: default; }
.hint { padding: 0 18px 8px; color: var(--seal); background: var(--paper); }
@media (pointer: coarse) { .tool, .thumb { width: 44px; height: 44px; } .choice, .menu button, .primary { min-height: 44px; } }
@media (prefers-reduced-motion: reduce) { *, ::before, ::after { animation: none !important; transition: none !important; } }
@media (forced-colors: active) { .launcher, .bubble, .send, .primary, .dots i, .badge { border: 1px solid; } .bar i, .scores :checked + span { background: Highlight; } .dots i, .typing i { background: CanvasText; } .taken, .current .tick { border-color: Highlight; } }
@media print { .frame { display: none; } }
`;

// -------------------------------------------------------------------------------------------------------- element

/** What the panel shows, one at a time. */
const VIEWS = /** @type {const} */ (['chat', 'search', 'article']);
/** Where this file came from is where the server is. */
const HOME = new URL('.', import.meta.url).href;

/**
 * `<kotae-chat>`. Attributes: `lang`, `identity` (JWT), `server` (address, by default where this file came from),
 * `position` (`end` or `start`), `theme` (`auto`, `light`, `dark`), `greeting` (said beside the launcher after
 * `greeting-after` seconds, once a browser; empty for the catalogue's words), `no-launcher`.
 *
 * Events, by `on(name, fn)` or as `kotae:name` DOM events: `ready`, `open`, `close`, `send`, `message` (one arrived), `unread`
 * (how many), `status`, `holder`, `article`, `search`, `feedback`, `survey`, `greeting`, `identity-expired`, `logout`.
 */
export class KotaeChat extends HTMLElement {
  static observedAttributes = ['lang', 'identity'];

  root = this.attachShadow({ mode: 'open' });
  /** @type {Thread} there from the first time the element is in a page */
  thread = /** @type {any} */ (null);
  /** @type {Words} */
  t = wordsIn('en');
  /** @type {Lang} */
  tongue = 'en';
  /** Its variety that this browser is set to: a British clock says 14:05 and not 2:05 PM. */
  locale = 'en';
  company = '';
  /** @type {string[]} */
  languages = [];
  /** @type {string|undefined} */
  fallback = undefined;
  /** @type {Promise<void>|null} */
  introduced = null;
  frame = h('div.frame');
  /** @type {Record<string, any>} the parts of the drawing */
  ui = {};
  /** @type {(() => void)[]} */
  undo = [];
  /** @type {Record<string, ReturnType<typeof setTimeout>|undefined>} */
  timers = {};
  small = matchMedia('(max-width: 520px), (max-height: 480px)');

  // What the drawing of the log stands at.
  /** @type {Message|null} the last one drawn */
  previous = null;
  /** Whether the log is scrolled to its end. */
  stuck = true;
  /** What stands under the composer: about what was just done there, and that something has to be waited for. */
  hints = { own: '', wait: '' };
  unread = 0;
  toldTyping = 0;

  // -- for the page

  get isOpen() { return Boolean(this.ui.panel?.open); }

  /** Shows the panel. */
  open() {
    if (!this.thread || this.isOpen) return;
    this.ungreet();
    this.raise();
    this.wake();
    this.launcherState();
    this.scrollDown();
    this.seeAll();
    this.fire('open');
  }

  /** Hides the panel; the conversation goes on. */
  close() {
    if (!this.isOpen) return;
    this.ui.panel.close();
    this.launcherState();
    this.ui.launcher.focus({ preventScroll: true });
    this.fire('close');
  }

  /**
   * Says who is asking.
   * @param {Identity} identity a JWT that the company's backend signed, or a function that fetches a fresh one: it is called
   *   now, and again when that one has expired
   */
  async identify(identity) {
    await this.thread?.identify(identity);
  }

  /** Ends the conversation on this device and removes everything kept about it. */
  logout() {
    this.thread?.logout();
    if (this.isOpen) this.ui.panel.close();
    this.launcherState();
    this.fire('logout');
  }

  /**
   * Says something for the customer, as if it had been typed.
   * @param {string} text
   */
  send(text) {
    this.deliver(text);
  }

  /**
   * @param {string} name
   * @param {(detail: any) => void} fn
   * @returns {() => void} takes the listener away again
   */
  on(name, fn) {
    const listener = guard((/** @type {any} */ event) => fn(event.detail));
    this.addEventListener(`kotae:${name}`, listener);
    return () => this.removeEventListener(`kotae:${name}`, listener);
  }

  /** @param {string} name @param {any} [detail] */
  fire(name, detail = null) {
    this.dispatchEvent(new CustomEvent(`kotae:${name}`, { detail, bubbles: true, composed: true }));
  }

  // -- life

  connectedCallback() {
    guard(() => this.begin())();
  }

  disconnectedCallback() {
    this.thread?.stop();
    this.undo.splice(0).forEach((one) => one());
  }

  /** @param {string} name @param {string|null} before @param {string|null} now */
  attributeChangedCallback(name, before, now) {
    if (!this.thread || before === now) return;
    if (name === 'lang') guard(() => this.build())();
    else if (now) guard(() => this.identify(now))();
  }

  begin() {
    const base = new URL(this.getAttribute('server') || HOME, location.href).href.replace(/\/?$/, '/');
    this.thread ??= new Thread(base, guard((name, detail) => this.told(name, detail)));
    const { thread } = this;
    const sheet = new CSSStyleSheet(); // constructed, so that no Content Security Policy for styles applies
    sheet.replaceSync(STYLE);
    this.root.adoptedStyleSheets = [sheet];
    this.root.replaceChildren(this.frame);
    this.build();
    if (this.isOpen) this.raise(); // moved in its page, a dialog is not above everything any more
    this.listen(window, 'storage', (event) => { if (event.storageArea === thread.keep.storage) thread.noticed(event.key); });
    for (const name of ['online', 'offline']) this.listen(window, name, () => thread.probe());
    this.listen(window, 'pagehide', () => thread.stop()); // an open socket would keep the page out of the back-forward cache
    this.listen(window, 'pageshow', (event) => { if (event.persisted) this.resume(); });
    this.listen(document, 'resume', () => thread.probe());
    this.listen(document, 'visibilitychange', () => { if (!document.hidden) { thread.probe(); this.seeAll(); } });
    this.listen(this.small, 'change', () => { if (this.isOpen) this.raise(); });
    this.listen(globalThis.visualViewport, 'resize', () => this.fit());
    const identity = this.getAttribute('identity');
    if (identity) guard(() => this.identify(identity))();
    this.resume();
    this.greetLater();
    this.fire('ready');
  }

  /** @param {EventTarget|null} target @param {string} name @param {(event: any) => any} fn */
  listen(target, name, fn) {
    const guarded = guard(fn);
    target?.addEventListener(name, guarded);
    this.undo.push(() => target?.removeEventListener(name, guarded));
  }

  /** A conversation that was begun, or is wanted, goes on. Nothing is asked of the server before that. */
  resume() {
    if (this.isOpen || this.thread.state || this.thread.outbox.length) this.wake();
  }

  /** Connects, and learns who the company is. */
  wake() {
    this.introduced ??= this.introduce().catch(() => { this.introduced = null; });
    if (!this.thread.running) this.thread.start();
  }

  async introduce() {
    const about = await this.thread.call('GET', 'v1/widget-config', undefined, null);
    this.company = about.company || '';
    this.languages = about.languages || [];
    this.fallback = about.default_language;
    if (this.language() === this.tongue) this.refresh();
    else this.build();
  }

  /** The page's wish, else the page's own language, else the browser's: of those, the first the company speaks. */
  language() {
    const wishes = [this.getAttribute('lang'), document.documentElement.lang, ...navigator.languages, this.fallback].map((one) => (one || '').slice(0, 2).toLowerCase());
    return /** @type {Lang} */ (wishes.find((one) => TONGUES.some((each) => each === one) && (!this.languages.length || this.languages.includes(one))) || 'en');
  }

  // -- the parts

  /**
   * Draws everything anew: at the start, in another language, and for another person. The words half typed stay, and focus where it is.
   * @param {boolean} [changed] another person is there, who finds nothing of the one before
   */
  build(changed = false) {
    const { thread, ui } = this;
    const focused = this.root.activeElement;
    const draft = changed || !ui.say ? '' : ui.say.value;
    this.tongue = thread.lang = this.language();
    this.t = wordsIn(this.tongue);
    this.locale = navigator.languages.find((one) => one.slice(0, 2) === this.tongue) ?? this.tongue;
    if (!ui.panel) this.buildFrame();
    ui.panel.lang = ui.launcher.lang = this.tongue;
    ui.panel.replaceChildren(this.buildChat(), this.buildSearch(), this.buildArticle());
    ui.say.value = draft;
    this.weigh();
    this.hint(changed ? '' : this.hints.own);
    this.showStatus(thread.status);
    this.restart();
    if (focused && !focused.isConnected) this.resting().focus();
  }

  /** Shows the conversation from its start. Another may begin at any moment: what the customer is at beside it goes on. */
  restart() {
    this.previous = null;
    this.ui.log.replaceChildren();
    this.ui.typing.hidden = true;
    this.add(this.thread.log, false);
    this.drawOutbox();
    this.refresh();
  }

  /** The parts that stay for good: the dialog, so that it stays open, and its button. */
  buildFrame() {
    const { ui } = this;
    ui.badge = h('span.badge', { hidden: true, 'aria-hidden': 'true' });
    ui.launcher = h('button.launcher', { part: 'launcher', 'aria-haspopup': 'dialog', 'data-icon': 'chat', hidden: this.hasAttribute('no-launcher'), onclick: () => (this.isOpen ? this.close() : this.open()) }, icon('chat'), ui.badge);
    ui.panel = h('dialog.panel', {
      onkeydown: (event) => {
        event.stopPropagation(); // the page's own shortcuts are not meant
        if (event.key !== 'Escape' || event.isComposing) return;
        event.preventDefault();
        if (!ui.menu.hidden) { this.toggleMenu(false); ui.more.focus(); }
        else if (ui.chat.hidden) this.leave();
        else this.close();
      },
      onclick: (event) => { if (![ui.menu, ui.more].some((one) => event.composedPath().includes(one))) this.toggleMenu(false); },
      oncancel: (event) => { if (event.target === ui.panel) { event.preventDefault(); this.close(); } },
      ondragover: (event) => event.preventDefault(),
      ondrop: (event) => this.refuseFiles(event, event.dataTransfer),
    });
    this.frame.replaceChildren(ui.launcher, ui.panel);
  }

  /**
   * A button that shows only an icon.
   * @param {keyof typeof ICONS} name
   * @param {string} label
   * @param {() => void} onclick
   * @param {Record<string, any>} [more]
   */
  tool(name, label, onclick, more = {}) {
    return h('button.tool', { 'aria-label': label, title: label, onclick, ...more }, icon(name, 'turn'));
  }

  buildChat() {
    const { t, ui } = this;
    ui.mark = h('span.mark', { 'aria-hidden': 'true' });
    ui.title = h('h2', { tabindex: -1 });
    ui.holder = h('span.soft');
    ui.banner = h('div.banner', { hidden: true });
    ui.log = h('div.log', { role: 'log', 'aria-label': t.log, 'aria-live': 'off' });
    ui.pending = h('div.log.pending');
    ui.typing = h('div.typing', { hidden: true }, h('i'), h('i'), h('i'), h('span'));
    ui.below = h('button.below', { hidden: true, onclick: () => this.scrollDown(true) }, t.newBelow, icon('down'));
    ui.scroll = h('div.scroll', { tabindex: 0, role: 'group', 'aria-label': t.log, onscroll: () => this.scrolled() }, this.buildWelcome(), ui.log, ui.pending, ui.typing, ui.below);
    new ResizeObserver(() => { if (this.stuck) this.scrollDown(); }).observe(ui.scroll); // the keyboard, a banner, a longer draft
    ui.status = h('div.vh', { role: 'status' });
    ui.receipt = h('div.state');
    ui.chat = h('section.view',
      h('header', ui.mark, h('div.grow', ui.title, ui.holder),
        this.tool('search', t.search, () => this.look()), ...this.buildMenu(), this.tool('close', t.close, () => this.close())),
      ui.banner, ui.scroll, this.buildComposer(), ui.status);
    return ui.chat;
  }

  /** What an empty conversation begins with: who answers here, and the other way to an answer. */
  buildWelcome() {
    const { t } = this;
    return h('div.welcome', h('h3', t.welcome), h('p.soft', t.welcomeMore),
      h('button.cite', { onclick: () => this.look() }, icon('search'), h('span.grow', t.search), icon('arrow', 'turn')));
  }

  /** Opens the search. */
  look() {
    this.show('search');
    this.ui.query.focus();
  }

  /** A button, and the few things it uncovers. */
  buildMenu() {
    const { t, ui, thread } = this;
    const item = (/** @type {string} */ label, /** @type {() => void} */ act) => h('button', { onclick: () => { this.toggleMenu(false); act(); } }, label);
    const sound = h('button', { 'aria-pressed': String(Boolean(thread.keep.get('sound'))), onclick: () => {
      const on = !thread.keep.get('sound');
      thread.keep.set('sound', on || null);
      sound.setAttribute('aria-pressed', String(on));
      if (on) chime();
    } }, h('span.grow', t.sound), icon('check'));
    ui.leave = item(t.emailLeave, () => {
      const open = () => [...ui.scroll.querySelectorAll('.ask input')].at(-1);
      if (!open()) ui.pending.after(this.emailForm(true)); // one that is open may have words in it
      open().focus();
    });
    ui.menu = h('div.menu', { hidden: true }, item(t.transcript, () => this.download()), ui.leave, sound);
    ui.more = this.tool('more', t.menu, () => this.toggleMenu(ui.menu.hidden), { 'aria-expanded': 'false' });
    return [ui.more, ui.menu];
  }

  /** @param {boolean} shown */
  toggleMenu(shown) {
    const { menu, more, leave } = this.ui;
    leave.hidden = this.thread.known || !this.thread.state;
    menu.hidden = !shown;
    more.setAttribute('aria-expanded', String(shown));
  }

  buildComposer() {
    const { t, ui } = this;
    ui.say = h('textarea', { rows: 1, 'aria-label': t.say, placeholder: t.placeholder, dir: 'auto', enterkeyhint: 'send', autocomplete: 'off', 'aria-describedby': 'hint',
      oninput: () => this.typed(),
      onkeydown: (event) => {
        // While an input method composes (Japanese), Enter chooses a word.
        if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229) return;
        event.preventDefault();
        this.submit();
      },
      onpaste: (event) => this.refuseFiles(event, event.clipboardData) });
    ui.send = h('button.send', { type: 'submit', 'aria-label': t.send, title: t.send, 'aria-disabled': 'true' }, icon('send'));
    ui.hint = h('div.hint', { id: 'hint', role: 'alert', hidden: true });
    return h('div', h('form.compose', { onsubmit: (event) => { event.preventDefault(); this.submit(); } }, ui.say, ui.send), ui.hint);
  }

  buildArticle() {
    const { t, ui } = this;
    ui.paper = h('div.scroll.paper', { tabindex: 0 });
    ui.onward = h('div.onward');
    ui.article = h('section.view', { hidden: true }, this.bar(t.article), ui.paper, ui.onward);
    return ui.article;
  }

  buildSearch() {
    const { t, ui } = this;
    ui.query = h('input', { type: 'search', 'aria-label': t.search, placeholder: t.search, autocomplete: 'off', oninput: () => {
      clearTimeout(this.timers.search);
      this.timers.search = setTimeout(guard(() => this.find()), 250);
    } });
    ui.count = h('p.soft', { role: 'status' }, t.few);
    ui.hits = h('div.hits');
    ui.askChat = h('button.choice', { hidden: true, onclick: () => {
      this.show('chat');
      ui.say.value = ui.query.value.trim();
      this.typed();
      ui.say.focus();
    } }, t.askChat);
    ui.search = h('section.view', { hidden: true }, this.bar(t.search), h('div.scroll',
      h('form', { role: 'search', onsubmit: (event) => { event.preventDefault(); return this.find(); } }, ui.query), ui.count, ui.hits, ui.askChat));
    return ui.search;
  }

  /** @param {string} title */
  bar(title) {
    return h('header', this.tool('back', this.t.back, () => this.leave()), h('h2.grow', title), this.tool('close', this.t.close, () => this.close()));
  }

  /** @param {Event} event @param {DataTransfer|null} data */
  refuseFiles(event, data) {
    if (!data?.files.length) return;
    event.preventDefault();
    this.hint(this.t.noFiles);
  }

  /** Opens the dialog: over the whole screen and modal on small ones, beside the page elsewhere. */
  raise() {
    const { panel } = this.ui;
    const focused = this.root.activeElement;
    if (panel.open) panel.close();
    panel.classList.toggle('whole', this.small.matches);
    if (this.small.matches) panel.showModal();
    else panel.show();
    this.fit();
    this.weigh();
    (focused && panel.contains(focused) ? focused : this.resting()).focus({ preventScroll: true });
  }

  /** Where focus is when it is nowhere else. On a touch screen focusing the field would cover half of it with the keyboard. */
  resting() {
    return matchMedia('(pointer: coarse)').matches ? this.ui.title : this.ui.say;
  }

  /** The visible height: smaller than the screen while its keyboard is up. */
  fit() {
    const view = globalThis.visualViewport;
    if (this.small.matches && view?.scale === 1) this.ui.panel.style.setProperty('--view', `${view.height}px`);
    else this.ui.panel.style.removeProperty('--view');
  }

  /** @param {'chat'|'search'|'article'} name */
  show(name) {
    const { ui } = this;
    const from = VIEWS.find((one) => !ui[one].hidden);
    if (from !== name) ui[name].from = { name: from, focus: this.root.activeElement };
    this.turn(name);
  }

  /** @param {string} name of the view that is seen from now on */
  turn(name) {
    for (const one of VIEWS) this.ui[one].hidden = one !== name;
  }

  /** Back to the view before, and to where focus was. */
  leave() {
    const { ui } = this;
    const { from } = ui.article.hidden ? ui.search : ui.article;
    this.turn(from.name);
    (from.focus?.isConnected ? from.focus : ui.say).focus();
    this.seeAll();
  }

  // -- what the thread tells

  /** @param {string} name @param {any} detail */
  told(name, detail) {
    if (name === 'messages') this.add(detail, true);
    else if (name === 'outbox') { this.drawOutbox(); this.waited(); }
    else if (name === 'typing') this.showTyping(detail);
    else if (name === 'status') { this.showStatus(detail); this.fire(name, detail); }
    else if (name === 'holder') { this.refresh(); this.fire(name, { holder: this.thread.holder, csm: this.thread.csm }); }
    else if (name === 'read') { this.receipts(); this.launcherState(); }
    else if (name === 'notice') this.hint(this.t[/** @type {'slow'|'started'} */ (detail)], 'wait');
    else if (name === 'forgotten') detail ? this.build(true) : this.restart();
    else this.fire(name, detail);
  }

  /**
   * Adds messages at the end of the log. What is there is never drawn again, so focus and reading position stay.
   * @param {Message[]} messages in order
   * @param {boolean} news whether they have just arrived
   */
  add(messages, news) {
    const { ui } = this;
    const fresh = messages.filter((one) => one.seq > (this.previous?.seq ?? 0));
    if (!fresh.length) return;
    const first = !this.previous;
    const stuck = this.stuck || first || fresh.some((one) => one.sender === 'customer');
    const rows = fresh.map((one) => this.row(one));
    if (first) setTimeout(() => ui.log.setAttribute('aria-live', 'polite'), 500); // what was said before is not read out
    ui.log.append(...rows.flat());
    if (fresh.some((one) => one.sender !== 'customer')) ui.typing.hidden = true;
    this.drawOutbox();
    this.receipts();
    if (stuck) this.showFrom(rows[0].at(-1), first);
    else ui.below.hidden = false;
    this.seeAll();
    if (stuck) this.scrolled(); // at once: the browser tells of it later, and what comes before that would go to the end again
    this.launcherState();
    if (news && !first) this.ring(fresh.filter((one) => one.sender !== 'customer'));
  }

  /** @param {Message[]} fresh */
  ring(fresh) {
    for (const one of fresh) this.fire('message', one);
    if (fresh.length && this.thread.keep.get('sound') && (document.hidden || !this.isOpen)) chime();
  }

  /**
   * @param {Message} message
   * @returns {HTMLElement[]} its row, after a line with the date where that is another
   */
  row(message) {
    const { t, locale, previous } = this;
    const date = (/** @type {string|number} */ at) => new Date(at).toDateString();
    const today = date(message.created_at) === date(Date.now());
    const newDay = !previous || date(previous.created_at) !== date(message.created_at);
    const first = newDay || previous.sender !== message.sender || previous.name !== message.name || Date.parse(message.created_at) - Date.parse(previous.created_at) > 6e5;
    const quiet = message.sender === 'customer' || message.sender === 'system' || !first;
    const by = h('div', { class: quiet ? 'vh' : 'by' }, h('b', this.nameOf(message)), ' ', h('time', { datetime: message.created_at }, clock(message.created_at, locale)));
    const row = h('div', { class: `row ${message.sender} ${first ? 'first' : ''}`, 'data-seq': message.seq }, by, draw(message, this));
    this.previous = message;
    return newDay ? [h('div.day', today ? t.today : format(message.created_at, locale, { weekday: 'long', month: 'long', day: 'numeric' })), row] : [row];
  }

  /** @param {Message} message */
  nameOf(message) {
    return message.name || (message.sender === 'customer' ? this.t.you : this.t[message.sender]);
  }

  /** Messages on their way, below the log. A row that says the same stays: another in its place would lose the click or the focus on its buttons. */
  drawOutbox() {
    const { thread, ui: { pending } } = this;
    const drawn = new Set(thread.log.map((one) => one.client_id));
    const items = thread.outbox.filter((item) => !drawn.has(item.client_id));
    const key = (/** @type {Outgoing} */ item) => `${item.client_id} ${item.failed ?? ''}`;
    const keys = new Set(items.map(key));
    for (const row of [...pending.children]) if (!keys.has(row.dataset.key)) row.remove();
    items.forEach((item, at) => { if (pending.children[at]?.dataset.key !== key(item)) pending.insertBefore(this.waiting(item, key(item)), pending.children[at] ?? null); });
    this.settleChoices();
    if (this.stuck) this.scrollDown();
  }

  /**
   * @param {Outgoing} item
   * @param {string} key what its row says
   */
  waiting(item, key) {
    const { thread, t } = this;
    const button = (/** @type {string} */ label, /** @type {() => void} */ act) => h('button', { onclick: () => { this.ui.say.focus(); act(); } }, label);
    const state = item.failed
      ? h('div.state.failed', h('span', { role: 'alert' }, put(t.failed, item.failed)),
        button(t.retry, () => thread.queue({ ...item, failed: undefined })), button(t.discard, () => thread.unqueue(item.client_id)))
      : h('div.state', t.sending);
    return h('div.row.customer.waiting.first', { 'data-key': key }, h('div.bubble', { dir: 'auto' }, item.text), state);
  }

  /** Buttons are for now: once something was said after them, be it still on its way, they only show what was taken. */
  settleChoices() {
    const { thread } = this;
    const mine = thread.log.filter((one) => one.sender === 'customer');
    const going = thread.outbox.find((one) => !one.failed);
    for (const group of this.ui.log.querySelectorAll('.choices')) {
      const next = mine.find((one) => one.seq > Number(group.closest('.row').dataset.seq));
      for (const button of group.children) {
        button.disabled = Boolean(next || going);
        button.classList.toggle('taken', (next ? /** @type {any} */ (next.body) : going)?.text === button.textContent);
      }
    }
  }

  /** "Sent" or "Read" under the last thing the customer said. */
  receipts() {
    const { receipt, log } = this.ui;
    const row = [...log.querySelectorAll('.row.customer')].at(-1);
    if (!row) return;
    const text = Number(row.dataset.seq) <= this.thread.readByOthers ? this.t.read : this.t.sent;
    if (receipt.textContent !== text) receipt.textContent = text;
    if (receipt.parentNode !== row) row.append(receipt);
  }

  /** @param {{who: string, name?: string}} frame */
  showTyping(frame) {
    const { typing } = this.ui;
    typing.hidden = false;
    typing.lastChild.textContent = put(this.t.typing, frame.name || (frame.who === 'csm' ? this.thread.csm || this.t.csm : this.t.bot));
    clearTimeout(this.timers.typing);
    this.timers.typing = setTimeout(() => { typing.hidden = true; }, TIMING.typingShown);
    if (this.stuck) this.scrollDown();
  }

  /** @param {string} status a lost line is mentioned only when it stays lost */
  showStatus(status) {
    const { banner } = this.ui;
    clearTimeout(this.timers.banner);
    const mention = () => {
      banner.textContent = this.thread.status === 'connecting' ? this.t.connecting : this.t.offline;
      banner.hidden = false;
      this.announce(banner.textContent);
    };
    if (status === 'offline' || status === 'connecting') this.timers.banner = setTimeout(guard(mention), banner.hidden ? 3000 : 0);
    else if (!banner.hidden) { banner.hidden = true; this.announce(this.t.online); }
    this.waited();
  }

  /** Title, holder and launcher by what is known now. */
  refresh() {
    const { t, ui, thread, company } = this;
    const name = thread.holder === 'csm' ? thread.csm || t.csm : '';
    const told = name ? put(t.withCsm, name) : t.withBot;
    if (ui.holder.textContent && ui.holder.textContent !== told) this.announce(told);
    ui.holder.textContent = told;
    ui.title.textContent = company || t.help;
    ui.mark.textContent = [...(name || company || '答')][0];
    ui.mark.classList.toggle('person', Boolean(name));
    ui.panel.setAttribute('aria-label', put(t.panel, company || t.help));
    this.launcherState();
  }

  /** @param {string} text read out, not shown */
  announce(text) {
    this.ui.status.textContent = text;
  }

  /**
   * Says something under the composer. Neither takes the other away before it was read.
   * @param {string} text '' takes it away
   * @param {'own'|'wait'} which `own` stands until something is typed, `wait` until the wait is over
   */
  hint(text, which = 'own') {
    this.hints[which] = text;
    this.ui.hint.textContent = `${this.hints.own} ${this.hints.wait}`.trim();
    this.ui.hint.hidden = !this.ui.hint.textContent;
  }

  /** A wait is over once we are connected and nothing is on its way. */
  waited() {
    const { status, outbox } = this.thread;
    if (status !== 'offline' && !outbox.some((one) => !one.failed)) this.hint('', 'wait');
  }

  // -- reading and scrolling

  launcherState() {
    const { thread, t } = this;
    const { launcher, badge } = this.ui;
    const count = this.isOpen ? 0 : thread.log.filter((one) => one.seq > thread.seen && one.sender !== 'customer').length;
    if (count !== this.unread) this.fire('unread', count);
    this.unread = count;
    badge.textContent = String(count);
    badge.hidden = !count;
    launcher.setAttribute('aria-expanded', String(this.isOpen));
    launcher.setAttribute('aria-label', this.isOpen ? t.close : count ? put(t.launcherUnread, count) : t.launcher);
    const shape = this.isOpen ? 'down' : 'chat';
    if (launcher.dataset.icon === shape) return; // put anew for nothing, it would take a click along that is just being made on it
    launcher.dataset.icon = shape;
    launcher.replaceChild(icon(shape), launcher.firstChild);
  }

  /** Everything drawn counts as seen while the panel is open, in front, and at its end. */
  seeAll() {
    if (this.isOpen && !document.hidden && !this.ui.chat.hidden && this.stuck && this.previous) this.thread.markSeen(this.previous.seq);
  }

  scrolled() {
    const { scroll, below } = this.ui;
    this.stuck = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 60;
    if (!this.stuck) return;
    below.hidden = true;
    this.seeAll();
  }

  /** @param {boolean} [smooth] */
  scrollDown(smooth = false) {
    const { scroll } = this.ui;
    const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
    this.stuck = true;
    scroll.scrollTo({ top: scroll.scrollHeight, behavior: smooth && !calm ? 'smooth' : 'instant' });
  }

  /**
   * Brings what is new into sight: its end, unless that would push its beginning out.
   * @param {HTMLElement|undefined} row the first new one
   * @param {boolean} all it is the whole log
   */
  showFrom(row, all) {
    this.scrollDown();
    if (all || !row) return;
    const { scroll } = this.ui;
    const over = scroll.getBoundingClientRect().top - row.getBoundingClientRect().top;
    if (over > 0) scroll.scrollTop -= over + 12;
  }

  // -- writing

  /**
   * The composer as tall as its words, and its button by whether they can be sent.
   * @returns {number} characters there are too many; negative where there is room
   */
  weigh() {
    const { say, send } = this.ui;
    say.style.height = 'auto';
    if (say.scrollHeight) say.style.height = `${say.scrollHeight + 2}px`; // none while the panel is closed
    const over = say.value.trim().length - MAX_TEXT;
    send.setAttribute('aria-disabled', String(!say.value.trim() || over > 0));
    return over;
  }

  typed() {
    const { say } = this.ui;
    const over = this.weigh();
    this.hint(over > 0 ? put(this.t.tooLong, over) : '');
    if (!say.value) this.toldTyping = 0;
    else if (Date.now() - this.toldTyping > TIMING.typing) {
      this.toldTyping = Date.now();
      this.thread.tell({ type: 'typing' });
    }
  }

  submit() {
    const { say } = this.ui;
    const text = say.value.trim();
    if (!text || text.length > MAX_TEXT) return;
    say.value = '';
    this.typed();
    say.focus();
    this.deliver(text);
  }

  /** @param {string} text @param {string} [choice] */
  deliver(text, choice) {
    this.stuck = true;
    this.wake();
    this.thread.send(text, choice);
    this.fire('send', { text, choice });
  }

  // -- what the drawing of a message asks for

  /** @param {Choice} choice */
  choose(choice) {
    this.ui.say.focus();
    this.deliver(choice.label, choice.id);
  }

  /** @param {number} seq @param {boolean} helpful */
  rate(seq, helpful) {
    this.thread.note(`rated:${seq}`, helpful);
    this.thread.give({ type: 'feedback', seq, helpful });
    this.fire('feedback', { seq, helpful });
  }

  /** @param {number} seq @param {number} score @param {string} comment */
  survey(seq, score, comment) {
    this.thread.note(`rated:${seq}`, score);
    this.thread.give({ type: 'survey', seq, score, ...(comment && { comment }) });
    this.fire('survey', { seq, score });
  }

  /** @param {number} seq @returns {any} what the customer said about it, or null */
  rated(seq) { return this.thread.note(`rated:${seq}`); }

  /**
   * Asks a visitor where to write to.
   * @param {boolean} [wanted] by the visitor; else it is offered only where nothing is known
   * @returns {HTMLElement}
   */
  emailForm(wanted = false) {
    const { t, thread } = this;
    if (!wanted && (thread.known || thread.note('email'))) return h('span', { hidden: true });
    const field = /** @type {HTMLInputElement} */ (h('input', { type: 'email', autocomplete: 'email', 'aria-label': t.email, placeholder: t.email }));
    const told = h('p.soft', { role: 'status' }, t.emailWhy);
    const form = h('form.ask', { novalidate: true, onsubmit: async (event) => {
      event.preventDefault();
      const email = field.value.trim();
      const valid = Boolean(email) && field.checkValidity();
      field.setAttribute('aria-invalid', String(!valid));
      told.textContent = valid ? t.loading : t.emailBad;
      if (!valid) { field.focus(); return; }
      try {
        await thread.call('PUT', `${thread.path}/email`, { email });
        thread.note('email', true);
        told.textContent = put(t.emailSaved, email);
        const there = form.contains(this.root.activeElement); // who went on meanwhile stays where they are
        form.replaceChildren(told);
        if (there) this.ui.say.focus();
      } catch (error) {
        told.textContent = error instanceof Refused && !error.passing ? t.emailBad : t.trouble;
      }
    } }, told, h('div', field, h('button.primary', { type: 'submit' }, t.emailSave)));
    return form;
  }

  /**
   * Opens an article in the panel.
   * @param {Citation} citation
   */
  async read(citation) {
    const { t, ui, tongue } = this;
    const title = h('h2', { tabindex: -1, lang: citation.lang }, citation.title);
    const body = h('div.prose', { dir: 'auto', lang: citation.lang }, h('p.vh', t.loading), ...[0, 1, 2].map(() => h('i.ghost')));
    ui.paper.replaceChildren(title, h('p.soft', citation.updated ? put(t.updated, day(citation.updated, this.locale)) : ''), body);
    ui.onward.replaceChildren(link(citation.url, [h('span.grow', t.openSite), icon('out'), h('span.vh', t.newTab)]));
    ui.onward.hidden = !safeUrl(citation.url);
    this.show('article');
    ui.paper.scrollTop = 0;
    title.focus({ preventScroll: true });
    this.fire('article', { article_id: citation.article_id, title: citation.title });
    try {
      const found = await this.thread.call('GET', `v1/articles/${citation.article_id.split('/').map(encodeURIComponent).join('/')}?lang=${citation.lang || tongue}`);
      title.textContent = found.title;
      body.replaceChildren(article(found.html, found.url || citation.url));
      const [top] = body.children;
      if (top?.textContent === found.title) top.remove(); // it stands above already
    } catch (error) {
      warn(error);
      body.replaceChildren(h('p', { role: 'alert' }, t.trouble));
    }
  }

  /** Looks for articles, without the chat. */
  async find() {
    const { ui, t } = this;
    const query = ui.query.value.trim();
    clearTimeout(this.timers.search);
    if (query && query === ui.query.dataset.found) return; // drawn anew, what was found would slip away from under a click
    if (query && !ui.hits.firstChild) ui.count.textContent = t.loading;
    const found = query ? await this.thread.call('GET', `v1/articles?q=${encodeURIComponent(query)}&lang=${this.tongue}`).catch(() => null) : { hits: [] };
    if (query !== ui.query.value.trim()) return;
    ui.askChat.hidden = !query;
    ui.count.textContent = !query ? t.few : !found ? t.trouble : found.hits.length ? put(t.found, found.hits.length) : t.none;
    if (!found) return;
    ui.query.dataset.found = query;
    ui.hits.replaceChildren(...found.hits.map((/** @type {Citation} */ one) => citationButton(one, this, 'cite')));
    if (query) this.fire('search', { query, found: found.hits.length });
  }

  /** The conversation as a text file. */
  download() {
    const lines = this.thread.log.map((one) => `[${format(one.created_at, this.locale, { dateStyle: 'medium', timeStyle: 'short' })}] ${this.nameOf(one)}\n${plain(one.body, this.t)}\n`);
    const href = URL.createObjectURL(new Blob([lines.join('\n')], { type: 'text/plain;charset=utf-8' }));
    h('a', { href, download: `${(this.company || 'chat').toLowerCase()}-${new Date().toISOString().slice(0, 10)}.txt` }).click();
    setTimeout(() => URL.revokeObjectURL(href), 1000);
  }

  // -- a word beside the launcher

  greetLater() {
    const text = this.getAttribute('greeting');
    if (text === null || this.thread.keep.get('greeted') || this.thread.state) return;
    clearTimeout(this.timers.greeting);
    this.timers.greeting = setTimeout(guard(() => this.greet(text || this.t.hello)), 1000 * Number(this.getAttribute('greeting-after') ?? 15));
  }

  /** @param {string} text */
  greet(text) {
    if (this.isOpen || this.thread.state || !this.isConnected) return;
    this.ui.greeting = h('div.greeting', { role: 'status', lang: this.tongue },
      h('button.grow', { dir: 'auto', onclick: () => this.open() }, text), this.tool('close', this.t.dismiss, () => this.ungreet()));
    this.frame.append(this.ui.greeting);
    this.fire('greeting', text);
  }

  ungreet() {
    clearTimeout(this.timers.greeting);
    if (!this.ui.greeting) return;
    this.thread.keep.set('greeted', true);
    this.ui.greeting.remove();
    this.ui.launcher.focus({ preventScroll: true });
    this.ui.greeting = null;
  }
}

// ----------------------------------------------------------------------------------------------------------- boot

/**
 * Defines the element and, where this file was loaded by a `<script>` and the page placed no element itself, adds one.
 * A failure is logged and leaves the host page as it is.
 */
function boot() {
  if (customElements.get('kotae-chat')) return;
  customElements.define('kotae-chat', KotaeChat);
  const [file] = import.meta.url.split(/[?#]/);
  const script = [...document.scripts].find((one) => one.src.split(/[?#]/)[0] === file);
  let element = document.querySelector('kotae-chat');
  if (!element && script && script.dataset.manual === undefined) {
    element = document.createElement('kotae-chat');
    for (const { name, value } of script.attributes) if (name.startsWith('data-')) element.setAttribute(name.slice(5), value);
    document.body.append(element);
  }
  const page = /** @type {any} */ (window);
  if (element && !page.kotae?.identify) page.kotae = element;
}

guard(boot)();
