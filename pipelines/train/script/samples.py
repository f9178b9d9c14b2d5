"""Short sentences in many languages, written for this project: what generated pages of each script say.

They measure reading (character error) and, being in no training text, routing. Keys are BCP 47 languages.
"""

from __future__ import annotations

SCRIPT_OF: dict[str, str] = {
    "en": "Latn", "de": "Latn", "fr": "Latn", "es": "Latn", "pt": "Latn", "pl": "Latn", "cs": "Latn", "tr": "Latn",
    "vi": "Latn", "ro": "Latn", "sv": "Latn", "hu": "Latn",
    "zh-Hans": "Hani", "zh-Hant": "Hani", "ja": "Jpan", "ko": "Hang",
    "ru": "Cyrl", "uk": "Cyrl", "bg": "Cyrl", "sr": "Cyrl",
    "el": "Grek", "ar": "Arab", "fa": "Arab", "ur": "Arab", "he": "Hebr",
    "hi": "Deva", "mr": "Deva", "ne": "Deva", "bn": "Beng", "ta": "Taml", "te": "Telu", "th": "Thai",
    "ka": "Geor", "hy": "Armn", "gu": "Gujr", "pa": "Guru", "kn": "Knda", "ml": "Mlym",
}  # fmt: skip

SAMPLES: dict[str, tuple[str, ...]] = {
    "en": (
        "The archive opens on Monday at nine and closes when the last reader leaves.",
        "Please bring the signed form, two photographs and a copy of your passport.",
        "Our garden had 24 apple trees, a pond and a small wooden house.",
        "The train to the coast was late, so we drank tea and read the newspaper.",
    ),
    "de": (
        "Das Archiv öffnet am Montag um neun Uhr und schließt erst spät am Abend.",
        "Bitte überprüfen Sie die Größe der Tür, bevor Sie das Möbelstück bestellen.",
        "Der Zug nach Köln hatte 20 Minuten Verspätung, deshalb tranken wir Kaffee.",
        "Im Frühling blühen die Bäume, und die Vögel kehren aus dem Süden zurück.",
    ),
    "fr": (
        "Les archives ouvrent le lundi à neuf heures et ferment très tard le soir.",
        "Où avez-vous laissé la clé du garçon ? Elle était près de la fenêtre.",
        "Le train pour la côte était en retard, alors nous avons bu un thé à la gare.",
        "Mon frère a reçu une lettre de sa sœur, écrite à l'hôtel en août 1987.",
    ),
    "es": (
        "El archivo abre el lunes a las nueve y cierra cuando sale el último lector.",
        "¿Dónde está la niña que llegó ayer de la montaña con su tío?",
        "El año pasado compramos 24 árboles pequeños para el jardín de la abuela.",
        "Mañana habrá una reunión en el salón del sótano; también vendrá el médico.",
    ),
    "pt": (
        "O arquivo abre na segunda-feira às nove e fecha quando sai o último leitor.",
        "A estação fica atrás da praça, não muito longe do coração da cidade.",
        "Três irmãos compraram pão, maçãs e limões para o almoço de domingo.",
        "Amanhã haverá uma reunião; você também é convidado a trazer suas crianças.",
    ),
    "pl": (
        "Archiwum otwiera się w poniedziałek o dziewiątej, a zamyka późnym wieczorem.",
        "Proszę przynieść podpisany wniosek, dwa zdjęcia i kopię paszportu.",
        "Żółta łódź płynęła przez jezioro, a dzieci śpiewały piosenki o wiośnie.",
        "Mój wujek mieszka w Łodzi i pracuje w małej księgarni obok kościoła.",
    ),
    "cs": (
        "Archiv se otevírá v pondělí v devět hodin a zavírá se pozdě večer.",
        "Přineste prosím podepsanou žádost, dvě fotografie a kopii průkazu.",
        "Žlutá loď plula přes jezero a děti zpívaly písničky o jaru.",
        "Můj strýc bydlí v Plzni a pracuje v malém knihkupectví vedle kostela.",
    ),
    "tr": (
        "Arşiv pazartesi günü saat dokuzda açılır ve akşam geç saatte kapanır.",
        "Lütfen imzalı başvuruyu, iki fotoğrafı ve kimliğin bir kopyasını getirin.",
        "Bahçemizde yirmi dört elma ağacı, küçük bir havuz ve ahşap bir ev vardı.",
        "Tren gecikti, bu yüzden istasyonda çay içtik ve gazete okuduk.",
    ),
    "vi": (
        "Kho lưu trữ mở cửa lúc chín giờ sáng thứ hai và đóng cửa vào buổi tối.",
        "Xin vui lòng mang theo đơn đã ký, hai tấm ảnh và bản sao hộ chiếu.",
        "Khu vườn của chúng tôi có hai mươi bốn cây táo và một ngôi nhà gỗ nhỏ.",
        "Tàu đến muộn nên chúng tôi uống trà và đọc báo ở nhà ga.",
    ),
    "ro": (
        "Arhiva se deschide luni la ora nouă și se închide târziu seara.",
        "Vă rugăm să aduceți cererea semnată, două fotografii și o copie a actului.",
        "În grădina noastră erau douăzeci de meri, un lac mic și o casă de lemn.",
    ),
    "sv": (
        "Arkivet öppnar på måndag klockan nio och stänger sent på kvällen.",
        "Ta med den underskrivna blanketten, två fotografier och en kopia av passet.",
        "I vår trädgård fanns tjugofyra äppelträd, en damm och ett litet trähus.",
    ),
    "hu": (
        "A levéltár hétfőn kilenckor nyit, és csak késő este zár be.",
        "Kérjük, hozza magával az aláírt űrlapot, két fényképet és egy másolatot.",
        "A kertünkben huszonnégy almafa, egy kis tó és egy faház állt.",
    ),
    "zh-Hans": (
        "档案馆星期一早上九点开门，晚上最后一位读者离开时关门。",
        "请带上签名的表格、两张照片和护照的复印件。",
        "我们的花园里有二十四棵苹果树、一个池塘和一座小木屋。",
        "火车晚点了，所以我们在车站喝茶看报纸。",
    ),
    "zh-Hant": (
        "檔案館星期一早上九點開門，晚上最後一位讀者離開時關門。",
        "請帶上簽名的表格、兩張照片和護照的影本。",
        "我們的花園裡有二十四棵蘋果樹、一個池塘和一座小木屋。",
        "火車誤點了，所以我們在車站喝茶看報紙。",
    ),
    "ja": (
        "資料館は月曜日の朝九時に開き、最後の読者が帰ると閉まります。",
        "署名した申込書と写真二枚、パスポートのコピーをお持ちください。",
        "うちの庭にはりんごの木が二十四本と小さな池がありました。",
        "電車が遅れたので、わたしたちは駅でコーヒーを飲んで新聞を読んだ。",
    ),
    "ko": (
        "기록관은 월요일 아침 아홉 시에 열고 저녁 늦게 문을 닫습니다.",
        "서명한 신청서와 사진 두 장, 여권 사본을 가져오세요.",
        "우리 정원에는 사과나무 24그루와 작은 연못, 나무집이 있었다.",
        "기차가 늦어서 우리는 역에서 차를 마시고 신문을 읽었다.",
    ),
    "ru": (
        "Архив открывается в понедельник в девять часов и закрывается поздно вечером.",
        "Пожалуйста, принесите подписанное заявление, две фотографии и копию паспорта.",
        "В нашем саду росли 24 яблони, был пруд и маленький деревянный дом.",
        "Поезд опоздал, поэтому мы пили чай на вокзале и читали газету.",
    ),
    "uk": (
        "Архів відчиняється в понеділок о дев'ятій годині й зачиняється пізно ввечері.",
        "Будь ласка, принесіть підписану заяву, дві фотографії та копію паспорта.",
        "Її брат живе у Львові й працює в маленькій книгарні біля ґанку церкви.",
    ),
    "bg": (
        "Архивът отваря в понеделник в девет часа и затваря късно вечерта.",
        "Моля, донесете подписаното заявление, две снимки и копие от паспорта.",
        "В нашата градина имаше двадесет и четири ябълки и малка дървена къща.",
    ),
    "sr": (
        "Архив се отвара у понедељак у девет часова и затвара се касно увече.",
        "Молимо вас да донесете потписан захтев, две фотографије и копију пасоша.",
        "Њихов ујак живи у Нишу и ради у малој књижари поред цркве.",
    ),
    "el": (
        "Το αρχείο ανοίγει τη Δευτέρα στις εννέα και κλείνει αργά το βράδυ.",
        "Παρακαλούμε φέρτε την υπογεγραμμένη αίτηση και δύο φωτογραφίες.",
        "Στον κήπο μας υπήρχαν 24 μηλιές, μια λίμνη και ένα μικρό ξύλινο σπίτι.",
        "Το τρένο άργησε, γι' αυτό ήπιαμε τσάι στον σταθμό και διαβάσαμε εφημερίδα.",
    ),
    "ar": (
        "يفتح الأرشيف أبوابه يوم الاثنين في الساعة التاسعة ويغلق في المساء.",
        "يرجى إحضار الطلب الموقع وصورتين ونسخة من جواز السفر.",
        "كان في حديقتنا أشجار تفاح كثيرة وبركة صغيرة وبيت من خشب.",
        "تأخر القطار فشربنا الشاي في المحطة وقرأنا الجريدة.",
    ),
    "fa": (
        "بایگانی روز دوشنبه ساعت نه باز می شود و شب دیر بسته می شود.",
        "لطفا فرم امضا شده و دو قطعه عکس و رونوشت گذرنامه را بیاورید.",
        "در باغ ما درخت های سیب و یک حوض کوچک و خانه ای چوبی بود.",
    ),
    "ur": (
        "دفتر پیر کے دن صبح نو بجے کھلتا ہے اور رات کو بند ہوتا ہے۔",
        "براہ کرم دستخط شدہ درخواست اور دو تصویریں ساتھ لائیں۔",
        "ہمارے باغ میں سیب کے درخت اور لکڑی کا ایک چھوٹا گھر تھا۔",
    ),
    "he": (
        "הארכיון נפתח ביום שני בשעה תשע ונסגר מאוחר בערב.",
        "נא להביא את הטופס החתום, שתי תמונות וצילום של הדרכון.",
        "בגינה שלנו היו עצי תפוח רבים, בריכה קטנה ובית עץ.",
        "הרכבת איחרה, לכן שתינו תה בתחנה וקראנו עיתון.",
    ),
    "hi": (
        "अभिलेखागार सोमवार को सुबह नौ बजे खुलता है और शाम को बंद होता है।",
        "कृपया हस्ताक्षर किया हुआ पत्र, दो तस्वीरें और पासपोर्ट की प्रति लाएँ।",
        "हमारे बगीचे में सेब के पेड़, एक तालाब और लकड़ी का छोटा घर था।",
        "गाड़ी देर से आई, इसलिए हमने स्टेशन पर चाय पी और अखबार पढ़ा।",
    ),
    "mr": (
        "अभिलेखागार सोमवारी सकाळी नऊ वाजता उघडते आणि संध्याकाळी बंद होते.",
        "कृपया सही केलेला अर्ज, दोन छायाचित्रे आणि पारपत्राची प्रत आणा.",
        "आमच्या बागेत सफरचंदाची झाडे, एक तळे आणि लाकडी घर होते.",
    ),
    "ne": (
        "अभिलेखालय सोमबार बिहान नौ बजे खुल्छ र साँझ बन्द हुन्छ।",
        "कृपया हस्ताक्षर गरेको निवेदन र दुई वटा तस्बिर ल्याउनुहोस्।",
        "हाम्रो बगैंचामा स्याउका रूख र काठको सानो घर थियो।",
    ),
    "bn": (
        "সংগ্রহশালা সোমবার সকাল নয়টায় খোলে এবং সন্ধ্যায় বন্ধ হয়।",
        "অনুগ্রহ করে সই করা আবেদনপত্র, দুটি ছবি ও পাসপোর্টের কপি আনুন।",
        "আমাদের বাগানে আপেল গাছ, একটি পুকুর আর কাঠের ছোট ঘর ছিল।",
        "ট্রেন দেরি করেছিল, তাই আমরা স্টেশনে চা খেয়ে খবরের কাগজ পড়লাম।",
    ),
    "ta": (
        "ஆவணக் காப்பகம் திங்கட்கிழமை காலை ஒன்பது மணிக்குத் திறக்கும்.",
        "கையொப்பமிட்ட விண்ணப்பமும் இரண்டு புகைப்படங்களும் கொண்டு வாருங்கள்.",
        "எங்கள் தோட்டத்தில் ஆப்பிள் மரங்களும் ஒரு சிறிய குளமும் இருந்தன.",
        "ரயில் தாமதமாக வந்ததால் நாங்கள் நிலையத்தில் தேநீர் குடித்தோம்.",
    ),
    "te": (
        "గ్రంథాలయం సోమవారం ఉదయం తొమ్మిది గంటలకు తెరుస్తారు.",
        "దయచేసి సంతకం చేసిన పత్రం, రెండు ఫోటోలు తీసుకురండి.",
        "మా తోటలో మామిడి చెట్లు, ఒక చిన్న చెరువు, చెక్క ఇల్లు ఉన్నాయి.",
        "రైలు ఆలస్యంగా వచ్చింది, అందుకే మేము స్టేషన్లో టీ తాగాము.",
    ),
    "th": (
        "หอจดหมายเหตุเปิดวันจันทร์เวลาเก้าโมงเช้าและปิดตอนเย็น",
        "กรุณานำแบบฟอร์มที่ลงชื่อแล้ว รูปถ่ายสองใบ และสำเนาหนังสือเดินทางมาด้วย",
        "ในสวนของเรามีต้นแอปเปิล บ่อน้ำเล็ก ๆ และบ้านไม้หลังหนึ่ง",
        "รถไฟมาช้า พวกเราจึงดื่มชาและอ่านหนังสือพิมพ์ที่สถานี",
    ),
    "ka": (
        "არქივი ორშაბათს დილის ცხრა საათზე იხსნება და საღამოს იკეტება.",
        "გთხოვთ მოიტანოთ ხელმოწერილი განცხადება და ორი ფოტოსურათი.",
        "ჩვენს ბაღში ვაშლის ხეები, პატარა ტბა და ხის სახლი იყო.",
        "მატარებელმა დააგვიანა, ამიტომ სადგურზე ჩაი დავლიეთ.",
    ),
    "hy": (
        "Արխիվը բացվում է երկուշաբթի առավոտյան և փակվում երեկոյան։",
        "Խնդրում ենք բերել ստորագրված դիմումը և երկու լուսանկար։",
        "Մեր այգում կային խնձորի ծառեր, մի փոքրիկ լիճ և փայտե տուն։",
        "Գնացքն ուշացավ, ուստի կայարանում թեյ խմեցինք։",
    ),
    "gu": (
        "સંગ્રહાલય સોમવારે સવારે નવ વાગ્યે ખુલે છે અને સાંજે બંધ થાય છે.",
        "કૃપા કરીને સહી કરેલું ફોર્મ અને બે ફોટા સાથે લાવો.",
        "અમારા બગીચામાં સફરજનના ઝાડ અને લાકડાનું નાનું ઘર હતું.",
    ),
    "pa": (
        "ਦਫ਼ਤਰ ਸੋਮਵਾਰ ਨੂੰ ਸਵੇਰੇ ਨੌਂ ਵਜੇ ਖੁੱਲ੍ਹਦਾ ਹੈ ਅਤੇ ਸ਼ਾਮ ਨੂੰ ਬੰਦ ਹੁੰਦਾ ਹੈ।",
        "ਕਿਰਪਾ ਕਰਕੇ ਦਸਤਖਤ ਵਾਲਾ ਫਾਰਮ ਅਤੇ ਦੋ ਤਸਵੀਰਾਂ ਨਾਲ ਲਿਆਓ।",
        "ਸਾਡੇ ਬਾਗ ਵਿੱਚ ਸੇਬ ਦੇ ਰੁੱਖ ਅਤੇ ਲੱਕੜ ਦਾ ਛੋਟਾ ਘਰ ਸੀ।",
    ),
    "kn": (
        "ಗ್ರಂಥಾಲಯವು ಸೋಮವಾರ ಬೆಳಿಗ್ಗೆ ಒಂಬತ್ತು ಗಂಟೆಗೆ ತೆರೆಯುತ್ತದೆ.",
        "ದಯವಿಟ್ಟು ಸಹಿ ಮಾಡಿದ ಅರ್ಜಿ ಮತ್ತು ಎರಡು ಫೋಟೋಗಳನ್ನು ತನ್ನಿ.",
        "ನಮ್ಮ ತೋಟದಲ್ಲಿ ಮಾವಿನ ಮರಗಳು ಮತ್ತು ಸಣ್ಣ ಮನೆ ಇದ್ದವು.",
    ),
    "ml": (
        "ഗ്രന്ഥശാല തിങ്കളാഴ്ച രാവിലെ ഒമ്പത് മണിക്ക് തുറക്കും.",
        "ദയവായി ഒപ്പിട്ട അപേക്ഷയും രണ്ട് ചിത്രങ്ങളും കൊണ്ടുവരിക.",
        "ഞങ്ങളുടെ തോട്ടത്തിൽ മാവുകളും ഒരു ചെറിയ കുളവും ഉണ്ടായിരുന്നു.",
    ),
}  # fmt: skip
