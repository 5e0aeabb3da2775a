// A text for whoever has none at hand: written for this page, with much that comes again, so that little training shows.
import type { Lang } from '../../i18n';

const EN = `The fox lived by the river, and the hare lived on the hill. Every morning the fox went down to the river, and every morning the hare came down from the hill.
"Good morning, fox," said the hare. "What did you see in the night?"
"Good morning, hare," said the fox. "I saw the moon in the river, and the river was still."
The next morning the fox went down to the river, and the hare came down from the hill.
"Good morning, fox," said the hare. "What did you see in the night?"
"Good morning, hare," said the fox. "I saw the rain on the river, and the river was grey."
Then the winter came. The river was under the ice, and the hill was under the snow. The fox stayed by the river, and the hare stayed on the hill.
"Good evening, moon," said the hare. "What did you see in the morning?"
"Good evening, hare," said the moon. "I saw the fox by the river, and the fox was alone."
So the hare came down from the hill, over the snow and over the ice, to the house of the fox by the river.
"Good morning, fox," said the hare. "The snow is on the hill, and the ice is on the river. May I come in?"
"Good morning, hare," said the fox. "The fire is in the stove, and the soup is on the fire. Come in."
And all winter long the fox and the hare sat by the fire, and told each other what they had seen in the night. When the spring came, the ice went from the river, and the snow went from the hill. But the hare stayed by the river, and the fox was not alone.
`;

const ZH = `狐狸住在河边，兔子住在山上。每天早上，狐狸走到河边，兔子走下山来。
“早上好，狐狸，”兔子说，“昨天夜里你看见了什么？”
“早上好，兔子，”狐狸说，“昨天夜里我看见了月亮，月亮在河里，河水很静。”
第二天早上，狐狸走到河边，兔子走下山来。
“早上好，狐狸，”兔子说，“昨天夜里你看见了什么？”
“早上好，兔子，”狐狸说，“昨天夜里我看见了雨，雨落在河里，河水很凉。”
后来冬天来了。河上结了冰，山上落了雪。狐狸不出门，兔子也不下山。
“晚上好，月亮，”兔子说，“今天早上你看见了什么？”
“晚上好，兔子，”月亮说，“今天早上我看见了狐狸，狐狸在河边，狐狸一个人。”
于是兔子走下山来，走过雪，走过冰，走到河边，走到狐狸的家。
“早上好，狐狸，”兔子说，“山上落了雪，河上结了冰，我可以进来吗？”
“早上好，兔子，”狐狸说，“炉子里有火，火上有汤，你进来吧。”
整个冬天，狐狸和兔子坐在火边，说夜里看见了什么。说月亮，说雨，说雪，说河水。
后来春天来了。河上没有了冰，山上没有了雪。兔子没有回到山上，兔子住在河边。每天早上，狐狸和兔子一起走到河边，看河水，看月亮落下去。
“早上好，狐狸，”兔子说。
“早上好，兔子，”狐狸说。
`;

export const SAMPLES: Record<Lang, string> = { en: EN, zh: ZH };
