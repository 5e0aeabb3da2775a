// What is said of links that ask for what is not here, and of a server with another model.
export const linksZh: Record<string, string> = {
  'link.model': '这个链接是用模型 {theirs} 生成的，这里运行的是 {ours}，数字会有所不同。',
  'link.version': '链接出自版本 {theirs}，这里是 {ours}。',
  'link.chapter': '链接指向章节“{name}”，这里没有，影片从头开始。',
  'link.depth': '链接要求讲解层次“{name}”，这里没有。',
  'link.layer': '链接要求第 {asked} 层，这里最后一层是第 {last} 层。',
  'link.head': '链接要求第 {asked} 个头，这里最后一个是第 {last} 个。',
  'link.token': '链接要求第 {asked} 个词元，这里最后一个是第 {last} 个。',
  'link.unknown': '链接里还有这个版本不认识的内容：{names}。',
  'link.long': '文字太长，放不进链接：打开链接的人能看到其余一切，文字要自己填。',
  'error.otherModel': '服务器现在运行的是另一个模型：{name}。你的文字已重新计算。',
};
