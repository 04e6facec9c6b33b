// @ts-check
// Opens the conversation a link names: `/conversation#ID:TOKEN`. The token is taken out of the address before anything else happens.
const [id, token] = location.hash.slice(1).split(':');
history.replaceState(null, '', location.pathname);
if (/^cnv_[0-9a-f]{32}$/.test(id) && token) {
  // As the widget keeps it, by the address of its server.
  localStorage.setItem(`kotae:${new URL('/', location.href).href}:state`, JSON.stringify({ conversation_id: id, token, who: null }));
}
await import('/widget.js');
const chat = /** @type {import('./widget.js').KotaeChat} */ (document.createElement('kotae-chat'));
document.body.append(chat);
chat.open();
