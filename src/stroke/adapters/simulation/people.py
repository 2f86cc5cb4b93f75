"""Names and places of simulated patients: common ones, in their own scripts, combined at random."""

# ruff: noqa: RUF001 -- letters of other scripts are what this module is made of

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Nation:
    """What its patients are called and where they live. Names stand in the order of ``order``."""

    country: str
    provinces: tuple[str, ...]
    female: tuple[str, ...]
    male: tuple[str, ...]
    family: tuple[str, ...]
    order: str = "{given} {family}"


def _nation(
    country: str, provinces: str, female: str, male: str, family: str, *, family_first: bool = False
) -> Nation:
    return Nation(
        country,
        tuple(provinces.split(", ")),
        tuple(female.split(", ")),
        tuple(male.split(", ")),
        tuple(family.split(", ")),
        "{family} {given}" if family_first else "{given} {family}",
    )


NATIONS: Final = (
    _nation(
        "United States",
        "California, Texas, New York, Florida, Ohio, Washington",
        "Mary, Patricia, Jennifer, Linda, Elizabeth, Maria",
        "James, Robert, John, Michael, David, José",
        "Smith, Johnson, Williams, García, O'Connor, Nguyen, Brown, Miller",
    ),
    _nation(
        "Canada",
        "Ontario, Québec, British Columbia, Alberta",
        "Olivia, Charlotte, Amélie, Zoé, Emma, Florence",
        "Liam, Noah, Étienne, Félix, William, Benoît",
        "Tremblay, Gagnon, Roy, MacDonald, Côté, Bouchard, Wilson, Lévesque",
    ),
    _nation(
        "Việt Nam",
        "Hà Nội, Thành phố Hồ Chí Minh, Đà Nẵng, Cần Thơ, Thừa Thiên Huế",
        "Thị Hương, Ngọc Ánh, Thu Hà, Mai Phương, Bích Thủy, Lan Anh",
        "Văn Hùng, Minh Đức, Quốc Bảo, Thành Long, Anh Tuấn, Hữu Phước",
        "Nguyễn, Trần, Lê, Phạm, Hoàng, Vũ, Đặng, Bùi",
        family_first=True,
    ),
    _nation(
        "France",
        "Île-de-France, Bretagne, Occitanie, Provence-Alpes-Côte d'Azur",
        "Hélène, Chloé, Léa, Anaïs, Françoise, Maëlle",
        "François, Jérôme, Loïc, Théo, Hugo, Gaël",
        "Martin, Lefèvre, Bernard, Dubois, Moreau, Béranger, d'Arcy, Noël",
    ),
    _nation(
        "Deutschland",
        "Bayern, Baden-Württemberg, Berlin, Thüringen",
        "Ursula, Anneliese, Käthe, Sabine, Lena, Bärbel",
        "Jürgen, Günther, Björn, Lukas, Matthias, Jörg",
        "Müller, Schmidt, Weiß, Schröder, Fischer, Köhler, Groß, Krüger",
    ),
    _nation(
        "Polska",
        "Mazowieckie, Małopolskie, Łódzkie, Śląskie",
        "Małgorzata, Agnieszka, Zofia, Elżbieta, Bożena, Łucja",
        "Paweł, Michał, Łukasz, Stanisław, Jakub, Wojciech",
        "Nowak, Wójcik, Dąbrowa, Zając, Król, Wróbel, Gołąb, Kaczmarek",
    ),
    _nation(
        "España",
        "Andalucía, Cataluña, Comunidad de Madrid, País Vasco",
        "Begoña, María José, Lucía, Inés, Carmen, Nuria",
        "Íñigo, José Luis, Álvaro, Martín, Jesús, Andrés",
        "Fernández, Núñez, López, Peña, Muñoz, Ibáñez, Sánchez, Ruiz",
    ),
    _nation(
        "Brasil",
        "São Paulo, Rio de Janeiro, Ceará, Paraná, Maranhão",
        "Conceição, Júlia, Inês, Beatriz, Antônia, Letícia",
        "João, Antônio, Luís, César, Thiago, Mateus",
        "da Silva, Santos, Araújo, Gonçalves, Assunção, Pereira, Magalhães, Souza",
    ),
    _nation(
        "Türkiye",
        "İstanbul, Ankara, İzmir, Diyarbakır",
        "Ayşe, Gülşen, Zeynep, Elif, Çiğdem, Nurgül",
        "Mehmet, Oğuz, İbrahim, Emre, Ömer, Çağlar",
        "Yılmaz, Şahin, Öztürk, Demir, Çelik, Aydın, Koç, Güneş",
    ),
    _nation(
        "Ελλάδα",
        "Αττική, Κεντρική Μακεδονία, Κρήτη, Ήπειρος",
        "Ελένη, Μαρία, Αικατερίνη, Σοφία, Βασιλική, Ιωάννα",
        "Γιώργος, Δημήτρης, Νίκος, Κώστας, Γιάννης, Παναγιώτης",
        "Παππάς, Γεωργίου, Νικολάου, Οικονόμου, Αγγέλου, Δήμου, Βλάχος, Ράπτης",
    ),
    _nation(
        "Україна",
        "Київська область, Львівська область, Одеська область, Харківська область",
        "Оксана, Наталія, Ірина, Соломія, Ганна, Юлія",
        "Олександр, Андрій, Тарас, Микола, Сергій, Юрій",
        "Шевченко, Коваленко, Бондар, Ткач, Мельник, Кравець, Гончар, Мороз",
    ),
    _nation(
        "مصر",
        "القاهرة, الجيزة, الإسكندرية, أسوان",
        "فاطمة, مريم, نور, سلمى, هدى, ليلى",
        "محمد, أحمد, محمود, عمر, خالد, يوسف",
        "حسن, السيد, إبراهيم, عبد الله, منصور, فاروق, سالم, شوقي",
    ),
    _nation(
        "भारत",
        "महाराष्ट्र, तमिल नाडु, केरल, पंजाब, पश्चिम बंगाल",
        "प्रिया, अनीता, सुनीता, लक्ष्मी, मीरा, काव्या",
        "राहुल, अमित, विजय, अर्जुन, संजय, रवि",
        "शर्मा, सिंह, पटेल, गुप्ता, नायर, रेड्डी, दास, मेहता",
    ),
    _nation(
        "中国",
        "广东省, 四川省, 浙江省, 北京市, 云南省",
        "秀英, 丽, 芳, 婷, 雪梅, 静怡",
        "伟, 强, 磊, 建国, 志明, 浩然",
        "王, 李, 张, 刘, 陈, 杨, 欧阳, 赵",
        family_first=True,
    ),
    _nation(
        "日本",
        "東京都, 大阪府, 北海道, 沖縄県",
        "陽子, さくら, 美咲, 由美子, 葵, 久美子",
        "太郎, 健一, 大輔, 翔, 誠, 雄介",
        "佐藤, 鈴木, 高橋, 渡邉, 齋藤, 伊藤, 小林, 山本",
        family_first=True,
    ),
    _nation(
        "Nigeria",
        "Lagos, Kano, Ọ̀yọ́, Rivers, Enugu",
        "Ngọzi, Amina, Adéọlá, Chiamaka, Fatima, Títílayọ̀",
        "Chinedu, Ibrahim, Olúwaṣeun, Emeka, Musa, Adébáyọ̀",
        "Okafor, Adéyẹmí, Bello, Eze, Balogun, Abubakar, Okonkwo, Ọláwálé",
    ),
)
