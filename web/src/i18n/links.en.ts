// What is said of links that ask for what is not here, and of a server with another model.
export const linksEn: Record<string, string> = {
  'link.model': 'This link was made with the model {theirs}; here runs {ours}, so the numbers differ.',
  'link.version': 'It was made by version {theirs}; this is {ours}.',
  'link.chapter': 'It leads to a chapter “{name}”, which is not here: the film begins at its start.',
  'link.depth': 'It asks for a depth “{name}”, which is not here.',
  'link.layer': 'It asks for layer {asked}; the last one here is {last}.',
  'link.head': 'It asks for head {asked}; the last one here is {last}.',
  'link.token': 'It asks for token {asked}; the last one here is {last}.',
  'link.unknown': 'It also asks for what this version does not know: {names}.',
  'link.long': 'The text is too long for a link: whoever opens it sees all else, with a text of their own.',
  'error.otherModel': 'The server runs another model now: {name}. Your text was run anew.',
};
