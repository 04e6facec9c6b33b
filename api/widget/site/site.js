// @ts-check
/**
 * The sample company's site: signing in as one of the sample people, and handing their identity to the chat.
 *
 * A real company's backend signs the identity token after its own log-in; here `POST /demo/token` plays that part.
 *
 * @typedef {{person_id: string, name: string, role: string, account_id: string, account: string, plan: string, about: string}} Person
 */

const TEXTS = {
  en: {
    title: 'Orimono: your tools, woven together', skip: 'Skip to the content', nav: 'Main', navHow: 'How it works', navPlans: 'Plans', signIn: 'Sign in', signOut: 'Sign out', other: '日本語', close: 'Close',
    heroTitle: 'Your tools, woven together.', heroText: 'Build a flow once, and Orimono runs it whenever something happens: a paid invoice, a signed contract, a form at midnight.', heroTry: 'Sign in to your account', heroAsk: 'Ask a question',
    tryTitle: 'See the difference in a minute', tryText: 'Four customers, one chat. Sign in as one, ask, then switch to another and ask the same: each hears of their own plan, their own use and their own next step.', tryVisitor: 'Or ask as a visitor:', tryAll: 'All sample accounts',
    tryAs: (/** @type {Person} */ one) => `Try as ${one.name.split(' ')[0]}`, switchTo: 'Ask the same as:',
    homeTitle: (/** @type {Person} */ one) => `Welcome back, ${one.name.split(' ')[0]}`, homeAbout: (/** @type {Person} */ one, /** @type {string} */ what) => `${one.account}, ${one.plan} plan.${what && ` ${what}.`}`, homeTry: 'One click asks in the chat:',
    tries: ['How many runs do I have left?', 'When does my plan renew?', 'How do I turn on single sign-on?'],
    visitor: ['How do I connect an app?', 'What counts as a run?', 'How do I invite a colleague?'],
    people: {
      'acme-amy': ['A small bakery that is doing well', ['Starter: 2,000 runs a month, 4 seats', 'Single sign-on is not in her plan, and the chat says which one has it', 'The assistant answers by itself'], 'I want to talk to a person'],
      'borealis-bea': ['A logistics company that is losing patience', ['Business, renewal close, invoices open', 'Single sign-on is hers: she gets the steps', 'Say you want to cancel: a person takes over'], 'We are thinking of cancelling our subscription'],
      'cedar-chika': ['A large manufacturer in Japan', ['Enterprise: no limit on runs', 'Ask in Japanese or in English: the answer follows', 'A customer success manager follows along'], '実行回数はあと何回残っていますか？'],
      'eastwind-eli': ['A travel agency in its first weeks', ['Pro, and nearly everything still to set up', 'A checklist says what comes next, and what is late', 'Each step opens its article beside it'], 'What should I set up next?'],
    },
    howTitle: 'From a knot of tools to one cloth', how1: 'Connect', how1Text: 'Sign in to the apps you already use. Four hundred of them, and any with a webhook.', how2: 'Weave', how2Text: 'Draw the flow: what starts it, what it checks, what it does. No code needed.', how3: 'Let it run', how3Text: 'Orimono retries, keeps a history and tells you when something is wrong.',
    plansTitle: 'Plans that grow with the cloth', perSeat: 'per seat and month', contract: 'By contract', footer: 'Orimono is a made-up company. It shows the chat that Kotae puts on a website.',
    peopleTitle: 'Sign in as', peopleText: 'Each of these people sees their own account in the chat. Try the same question as two of them.', none: 'No sample accounts here. Start the server in development mode.',
    plans: [['Starter', '$19', '2,000 runs a month', '10 flows', '5 seats'], ['Pro', '$45', '50,000 runs a month', '100 flows, API', '25 seats'], ['Business', '$79', '500,000 runs a month', 'SSO, audit log, approvals', '200 seats'], ['Enterprise', '', 'Unlimited runs', 'SCIM, private workers, EU region', 'Unlimited seats']],
  },
  ja: {
    title: 'Orimono：社内のツールを織り合わせる', skip: '本文へ移動', nav: 'メイン', navHow: '仕組み', navPlans: 'プラン', signIn: 'サインイン', signOut: 'サインアウト', other: 'English', close: '閉じる',
    heroTitle: '社内のツールを、一枚の布に。', heroText: 'フローを一度作れば、請求書の入金、契約の締結、深夜のフォーム送信など、出来事が起きたときにOrimonoが自動で実行します。', heroTry: 'アカウントにサインイン', heroAsk: '質問する',
    tryTitle: '1分でわかる、答えの違い', tryText: '一つのチャットに、四人のお客様。一人としてサインインして質問し、別の人に切り替えて同じことを聞いてみてください。それぞれのプラン、利用状況、次のステップに合わせて答えが変わります。', tryVisitor: 'サインインせずに質問する：', tryAll: 'すべてのサンプルアカウント',
    tryAs: (/** @type {Person} */ one) => `${one.name.split(' ')[0]}さんで試す`, switchTo: '同じ質問を別の人で：',
    homeTitle: (/** @type {Person} */ one) => `${one.name}さん、おかえりなさい`, homeAbout: (/** @type {Person} */ one, /** @type {string} */ what) => `${one.account}、${one.plan}プラン。${what && `${what}。`}`, homeTry: 'クリックするとチャットで質問します：',
    tries: ['実行回数はあと何回残っていますか？', 'プランの更新日はいつですか？', 'シングルサインオンを有効にするには？'],
    visitor: ['アプリを接続するには？', '実行回数はどのように数えますか？', '同僚を招待するには？'],
    people: {
      'acme-amy': ['順調な小さなベーカリー', ['Starter：月2,000回の実行、4シート', 'シングルサインオンは対象外。どのプランで使えるかをお伝えします', 'アシスタントだけで解決します'], '担当者と話したいです'],
      'borealis-bea': ['不満を抱えた物流会社', ['Business：更新日が近く、未払いの請求あり', 'シングルサインオンの手順をそのまま案内', '解約したいと伝えると、担当者が引き継ぎます'], '解約を検討しています'],
      'cedar-chika': ['日本の大手メーカー', ['Enterprise：実行回数は無制限', '日本語でも英語でも、質問の言葉で回答', 'カスタマーサクセスが会話を見守ります'], 'How many runs do I have left?'],
      'eastwind-eli': ['導入を始めたばかりの旅行会社', ['Pro：設定はこれから', 'チェックリストが次のステップと遅れを知らせます', '各ステップの記事をその場で開けます'], '次に設定することは何ですか？'],
    },
    howTitle: 'ばらばらのツールを一枚の布へ', how1: 'つなぐ', how1Text: '普段お使いのアプリにサインインするだけ。400以上のアプリと、Webhookに対応しています。', how2: '織る', how2Text: '何をきっかけに、何を確かめ、何をするか。コードを書かずにフローを描けます。', how3: '任せる', how3Text: '再試行も履歴もOrimonoが管理し、異常があればお知らせします。',
    plansTitle: '成長に合わせて選べるプラン', perSeat: '1シート・月あたり', contract: '個別契約', footer: 'Orimonoは架空の会社です。Kotaeのチャットをウェブサイトに置いた例をお見せしています。',
    peopleTitle: 'サインインする人を選ぶ', peopleText: 'それぞれの人が、チャットで自分のアカウントの内容を確認できます。二人で同じ質問をしてみてください。', none: 'サンプルアカウントがありません。開発モードでサーバーを起動してください。',
    plans: [['Starter', '$19', '月2,000回の実行', '10フロー', '5シート'], ['Pro', '$45', '月50,000回の実行', '100フロー、API', '25シート'], ['Business', '$79', '月500,000回の実行', 'SSO、監査ログ、承認', '200シート'], ['Enterprise', '', '実行回数無制限', 'SCIM、プライベートワーカー、EUリージョン', 'シート無制限']],
  },
};

/** @type {Person[]} whom one may sign in as */
let everybody = [];
const known = fetch('/demo/people').then((answer) => (answer.ok ? answer.json() : [])).catch(() => []).then((all) => { everybody = all; draw(); });

/** @param {string} id */
const get = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
/** The chat, once its script is there. */
const chat = () => /** @type {any} */ (window).kotae;
const people = /** @type {HTMLDialogElement} */ (get('people'));

/**
 * @param {string} tag
 * @param {string} text
 * @param {string} [cls]
 */
function make(tag, text, cls = '') {
  const node = document.createElement(tag);
  node.textContent = text;
  node.className = cls;
  return node;
}

/** @returns {Person|null} who is signed in, for as long as the tab is open */
function person() {
  return JSON.parse(sessionStorage.getItem('person') || 'null');
}

/** @returns {'en'|'ja'} */
function language() {
  const chosen = sessionStorage.getItem('language') || navigator.language;
  return chosen.startsWith('ja') ? 'ja' : 'en';
}

/**
 * A fresh identity token from the company's backend. The chat calls this again when one has expired.
 * @param {Person} one
 */
async function token(one) {
  const response = await fetch('/demo/token', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ account_id: one.account_id, person_id: one.person_id }) });
  if (!response.ok) throw new Error(`no token: ${response.status}`);
  return (await response.json()).token;
}

/** @param {Person|null} one */
async function signed(one) {
  await customElements.whenDefined('kotae-chat');
  if (one) {
    sessionStorage.setItem('person', JSON.stringify(one));
    await chat().identify(() => token(one));
  } else {
    sessionStorage.removeItem('person');
    chat().logout();
  }
  draw();
}

function draw() {
  const lang = language();
  const t = TEXTS[lang];
  const one = person();
  document.documentElement.lang = lang;
  document.title = t.title;
  for (const node of document.querySelectorAll('[data-t]')) node.textContent = /** @type {any} */ (t)[node.getAttribute('data-t') || ''];
  for (const node of document.querySelectorAll('[data-t-label]')) node.setAttribute('aria-label', t.nav);
  get('language').textContent = t.other;
  get('language').lang = lang === 'en' ? 'ja' : 'en';
  get('who').hidden = get('sign-out').hidden = get('home').hidden = !one;
  get('sign-in').hidden = get('try').hidden = get('hero').hidden = Boolean(one);
  get('suggested').replaceChildren(...suggested().map((each) => personCard(t, each)));
  get('visitor').replaceChildren(...t.visitor.map(tryButton));
  get('plan-list').replaceChildren(...t.plans.map(([name, price, ...facts]) => plan(t, name, price, facts, one)));
  if (one) {
    get('who').textContent = `${one.name} · ${one.account}`;
    get('home-title').textContent = t.homeTitle(one);
    const [what, , own] = about(t, one);
    get('home-about').textContent = t.homeAbout(one, what.replace(/\.$/, ''));
    get('tries').replaceChildren(...[...t.tries, ...(own ? [own] : [])].map(tryButton));
    get('switch').replaceChildren(...suggested().map((each) => switchButton(each, one)));
  }
  chat()?.setAttribute('lang', lang);
}

/**
 * @param {typeof TEXTS.en} t
 * @param {string} name
 * @param {string} price
 * @param {string[]} facts
 * @param {Person|null} one
 */
function plan(t, name, price, facts, one) {
  const node = make('li', '', one?.plan === name ? 'mine' : '');
  const cost = make('p', price ? `${price} ` : t.contract, 'price');
  if (price) cost.append(make('small', t.perSeat));
  const list = document.createElement('ul');
  list.append(...facts.map((fact) => make('li', fact)));
  node.append(make('h3', name), cost, list);
  return node;
}

/** Whom to sign in as first: those the site has words for, else somebody of each of the first four accounts. */
function suggested() {
  const known = Object.keys(TEXTS.en.people).flatMap((id) => everybody.filter((one) => one.person_id === id));
  if (known.length) return known;
  return everybody.filter((one, at) => everybody.findIndex((other) => other.account_id === one.account_id) === at).slice(0, 4);
}

/**
 * What the site says of somebody: who they are, what differs, and a question of their own.
 * @param {typeof TEXTS.en} t
 * @param {Person} one
 * @returns {[string, string[], string?]}
 */
const about = (t, one) => /** @type {any} */ (t.people)[one.person_id] ?? [one.about, []];

/**
 * One of those, with what differs.
 * @param {typeof TEXTS.en} t
 * @param {Person} one
 */
function personCard(t, one) {
  const [what, differs] = about(t, one);
  const node = document.createElement('li');
  const top = make('p', '', 'whom');
  top.append(make('span', [...one.account][0], 'face'), make('strong', one.name), make('span', `${one.account} · ${one.plan}`, 'soft'));
  const list = document.createElement('ul');
  list.append(...differs.map((text) => make('li', text)));
  const button = make('button', t.tryAs(one), 'solid');
  button.addEventListener('click', () => signed(one));
  node.append(top, ...(what ? [make('h3', what)] : []), list, button);
  return node;
}

/**
 * Changes who is signed in by one click.
 * @param {Person} one
 * @param {Person} current
 */
function switchButton(one, current) {
  const node = document.createElement('li');
  const button = make('button', `${one.name}, ${one.plan}`);
  const here = one.person_id === current.person_id;
  button.setAttribute('aria-pressed', String(here));
  button.addEventListener('click', async () => { if (!here) { await signed(one); chat()?.open(); } });
  node.append(button);
  return node;
}

/** @param {string} text */
function tryButton(text) {
  const node = document.createElement('li');
  const button = make('button', text);
  button.addEventListener('click', () => { chat()?.open(); chat()?.send?.(text); });
  node.append(button);
  return node;
}

async function choose() {
  const t = TEXTS[language()];
  people.showModal();
  await known;
  get('people-list').replaceChildren(...everybody.map((one) => {
    const node = document.createElement('li');
    const button = make('button', '');
    button.append(make('strong', `${one.name}, ${one.account}`), make('span', one.plan, 'plan'), ...(one.about ? [make('small', one.about)] : []));
    button.addEventListener('click', async () => { people.close(); await signed(one); });
    node.append(button);
    return node;
  }), ...(everybody.length ? [] : [make('li', t.none)]));
}

get('language').addEventListener('click', () => { sessionStorage.setItem('language', language() === 'en' ? 'ja' : 'en'); draw(); });
get('sign-out').addEventListener('click', () => signed(null));
get('people-close').addEventListener('click', () => people.close());
for (const node of [get('sign-in'), ...document.querySelectorAll('[data-sign-in]')]) node.addEventListener('click', choose);
for (const node of document.querySelectorAll('[data-chat]')) node.addEventListener('click', () => chat()?.open());
draw();
const back = person();
if (back) signed(back);
else customElements.whenDefined('kotae-chat').then(draw);
